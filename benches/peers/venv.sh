# Sourced: the peers' virtual environment, one for each set of versions, so that checkouts do not take it from each other.
# Sets `venv`.
venv=$cache/peers/$(sha256sum "$here/requirements.txt" | cut -c -12)
if [[ ! -e $venv/installed ]]; then
    printf 'installing the peers of %s into %s\n' "$here/requirements.txt" "$venv" >&2
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    touch "$venv/installed"
fi
