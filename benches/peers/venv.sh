# Sourced: makes virtual environments, one for each set of versions, so that checkouts do not take them from each other.
# `environment NAME` prints the one for NAME.txt; lleaves needs an older LLVM than others do, so it has one of its own.
environment() {
    local wanted=$here/$1.txt place
    place=$cache/peers/$(sha256sum "$wanted" | cut -c -12)
    if [[ ! -e $place/installed ]]; then
        printf 'installing %s\n' "$(paste -sd ' ' "$wanted")" >&2
        python3 -m venv --clear "$place" >&2 &&
            "$place/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted" >&2 &&
            touch "$place/installed" || return 1
    fi
    printf '%s' "$place"
}
