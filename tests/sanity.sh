#!/usr/bin/env bash
# `ansible-test sanity` on a plain copy of the project's files: it refuses links, and it must not see what git ignores.
# Arguments go to ansible-test (`tests/sanity.sh --test validate-modules`).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$root/.cache/sanity
copy=$work/ansible_collections/nexod/infra
[ -x "$root/.venv/bin/ansible-test" ] && PATH=$root/.venv/bin:$PATH
export PATH

# ansible-test fetches get-pip once, from a host that not every machine reaches. The pip that Python brings does the same.
python3 - <<'PYTHON'
import re
import urllib.request
from pathlib import Path

import ansible_test

own = (Path(ansible_test.__path__[0]) / "_internal" / "python_requirements.py").read_text()
version = re.search(r"pip='([0-9.]+)'", own).group(1)
path = Path(f"~/.ansible/test/cache/get_pip_{version.replace('.', '_')}.py").expanduser()
if not path.exists():
    try:
        url = f"https://ci-files.testing.ansible.com/ansible-test/get-pip-{version}.py"
        body = urllib.request.urlopen(url, timeout=5).read()
    except OSError:
        body = b"import ensurepip\nensurepip.bootstrap()\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
PYTHON

rm -rf "$copy"
mkdir -p "$copy"
cd "$root"
# New files that are not in git yet are checked too; deleted ones cannot be. The example application is no collection.
git ls-files -z --cached --others --exclude-standard -- . ':!examples' |
    while IFS= read -r -d '' file; do [ -f "$file" ] && [ ! -L "$file" ] && printf '%s\0' "$file"; done |
    tar --create --null --files-from=- | tar --extract --directory "$copy"

cd "$copy"
# ansible-test asks git what to look at; the copy is a repository of its own, so that the one around it is not asked.
git init --quiet .
git add --all
log=$work/log
status=0
ansible-test sanity --local --python 3.11 --color no "$@" 2>&1 | tee "$log" || status=$?
if grep -q "No tests applicable" "$log" || ! grep -q "^Running sanity test" "$log"; then
    echo "ansible-test sanity tested nothing: is the copy at $copy complete?" >&2
    exit 1
fi
echo "$(grep -c '^Running sanity test' "$log") sanity tests run"
exit "$status"
