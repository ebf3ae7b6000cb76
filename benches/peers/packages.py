"""Prints version and licence of packages, a line each."""

import sys
from importlib.metadata import metadata

for name in sys.argv[1:]:
    known = metadata(name)
    classes = [one.rpartition(" :: ")[2] for one in known.get_all("Classifier") or [] if one.startswith("License :: OSI")]
    licence = known["License-Expression"] or ", ".join(classes) or (known["License"] or "").splitlines()[:1] or "see its files"
    print(name, known["Version"], licence if isinstance(licence, str) else licence[0], sep="\t")
