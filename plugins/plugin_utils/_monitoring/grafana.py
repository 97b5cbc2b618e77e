# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role grafana writes: grafana.ini, dashboards by folder, and the faults in what was given for them."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import grafana_access

Options = t.Mapping[str, t.Any]

#: Settings that have an option of the role, which the role's proof relies on too.
OWN_SETTINGS = {
    ("server", "http_addr"): "grafana_listen_address",
    ("server", "http_port"): "grafana_port",
    ("server", "root_url"): "grafana_external_url",
    ("server", "serve_from_sub_path"): "grafana_external_url",
    ("security", "admin_user"): "grafana_admin_user",
    ("security", "admin_password"): "grafana_admin_password",
}
#: Settings whose value is a secret.
SECRET_SETTING = re.compile(r"(^|_)(password|secret|secret_key|api_key|private_key|token)$")
#: A value that Grafana reads from elsewhere, and a switch whose name only looks like a secret's.
NO_SECRET = re.compile(r"\$__(file|env|vault)\{.*|true|false|", re.IGNORECASE)
ELSEWHERE = "put it into grafana_secrets and refer to it with $__file{...}"
#: Data sources whose `url` is a host and a port.
HOST_AND_PORT = ("mysql", "postgres", "grafana-postgresql-datasource", "mssql", "redis-datasource")
PLUGIN_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
PLUGIN_VERSION = re.compile(r"\d+\.\d+\.\d+[\w.+-]*")
CHECKSUM = re.compile(r"sha(256:[0-9a-fA-F]{64}|512:[0-9a-fA-F]{128})")
UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
SECRET_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def ini(sections: t.Mapping[str, Options]) -> str:
    """grafana.ini; a null value leaves its key out. The section with an empty name comes first, without a heading."""
    blocks = []
    for section in sorted(sections, key=bool):
        lines = [f"[{section}]"] if section else []
        lines += [f"{key} = {_value(value)}" for key, value in sections[section].items() if value is not None]
        blocks.append("".join(f"{line}\n" for line in lines))
    return "\n".join(blocks)


def _value(value: t.Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    # Unquoted, # and ; begin a comment, a backtick or a quotation mark a quotation, and outer spaces are dropped.
    if re.search(r"[#;`\"]", text) or text != text.strip():
        return f"`{text}`" if '"' in text and "`" not in text else f'"""{text}"""'
    return text


class Dashboard(t.NamedTuple):
    """One dashboard: Grafana's folder for it, the name of its file, and what the file holds."""

    folder: str
    name: str
    text: str
    document: t.Any


def dashboards(entries: t.Sequence[Options], base: str, home: str) -> dict[str, t.Any]:
    """The files and providers for the option grafana_dashboards, and the faults in it.

    `base` is where relative paths start; `home` is the folder on the host that the files are written below.
    """
    found: list[Dashboard] = []
    faults: list[str] = []
    for entry in entries:
        try:
            found += _read(entry, base)
        except (OSError, ValueError) as error:
            faults.append(f"grafana_dashboards: {error}")
    faults += [f"dashboard {item.name}: {fault}" for item in found for fault in _dashboard_faults(item.document)]
    uids = [item.document["uid"] for item in found if isinstance(item.document, dict) and item.document.get("uid")]
    faults += [f"the dashboard uid {uid!r} occurs more than once" for uid in repeated(uids)]
    folders = _folders([item.folder for item in found])
    files = [{"path": f"dashboards/{folders[item.folder]}/{item.name}", "content": item.text} for item in found]
    faults += [
        f"two dashboards of one folder have the same file name ({path})"
        for path in repeated([file["path"] for file in files])
    ]
    return {
        "files": files,
        "providers": [_provider(folder, f"{home}/{place}") for folder, place in folders.items()],
        "faults": faults,
    }


def _read(entry: Options, base: str) -> list[Dashboard]:
    """The dashboards of one entry; ValueError or OSError where it has none."""
    folder = str(entry.get("folder") or "")
    source, content = entry.get("src"), entry.get("content")
    if bool(source) == bool(content):
        raise ValueError("each entry needs either src or content")
    if content:
        documents = json.loads(content) if isinstance(content, str) else content
        return [_given(folder, item) for item in (documents if isinstance(documents, list) else [documents])]
    path = pathlib.Path(base, str(source))
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path} holds no file *.json")
    return [_read_file(folder, file) for file in files]


def _given(folder: str, document: t.Any) -> Dashboard:
    title = str(document.get("uid") or document.get("title")) if isinstance(document, dict) else "content"
    return Dashboard(folder, f"{slug(title)}.json", json.dumps(document, indent=4) + "\n", document)


def _read_file(folder: str, path: pathlib.Path) -> Dashboard:
    text = path.read_text(encoding="utf-8")
    try:
        return Dashboard(folder, path.name, text, json.loads(text))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def _dashboard_faults(document: t.Any) -> list[str]:
    """Why Grafana would not load a dashboard, or would show an empty one."""
    if not isinstance(document, dict):
        return ["it must be a JSON object"]
    if "spec" in document:
        return []  # The newer resource form, which Grafana itself validates.
    found = [] if document.get("title") else ["it has no title"]
    if document.get("uid") and not UID.fullmatch(str(document["uid"])):
        found.append("its uid must be 1 to 40 letters, digits, - or _")
    if not isinstance(document.get("schemaVersion"), int):
        found.append("it has no schemaVersion, so it is not a classic dashboard")
    if document.get("__inputs"):
        found.append(
            "it was exported for sharing: replace the variables of __inputs with the uid of a data source, "
            "and remove __inputs"
        )
    return found


def _provider(folder: str, path: str) -> dict[str, t.Any]:
    return {
        "name": folder or "top level",
        "folder": folder,
        "type": "file",
        "disableDeletion": False,
        "allowUiUpdates": False,
        "options": {"path": path},
    }


def _folders(titles: t.Sequence[str]) -> dict[str, str]:
    """A folder on disk for each of Grafana's folders; titles that look the same get a number."""
    places: dict[str, str] = {}
    for title in titles:
        if title not in places:
            place = slug(title) or "top-level"
            taken = sum(1 for other in places if (slug(other) or "top-level") == place)
            places[title] = f"{place}-{taken + 1}" if taken else place
    return places


def slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def repeated(values: t.Sequence[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})


def faults(given: Options) -> list[str]:
    """What is missing or contradicts itself in the role's options; the keys are their names.

    Of passwords only whether they are given is passed, of secrets only their names. No fault contains a secret.
    """
    return [
        *_package_faults(given),
        *_ini_faults(given["grafana_ini"]),
        *grafana_access.faults(given),
        *_plugin_faults(given["grafana_plugins"], given["grafana_ini"]),
        *_address_faults(given["grafana_external_url"]),
        *_secret_faults(given),
        *_environment_faults(given["grafana_environment"]),
        *_source_faults(given["datasources"]),
    ]


def _package_faults(given: Options) -> list[str]:
    ways = [name for name in ("grafana_package_url", "grafana_package_path", "grafana_repository") if given[name]]
    ways += ["grafana_archive"] if (given.get("grafana_archive") or {}).get("version") else []
    found = []
    if given["os_family"] not in ("", "Debian"):
        found.append(f"the role installs Debian packages, and this host is {given['os_family']}")
    if not ways:
        found.append(
            "give grafana_package_url with grafana_package_checksum, or grafana_package_path, or grafana_repository, "
            "or grafana_archive"
        )
    if len(ways) > 1:
        found.append(f"give only one of {', '.join(ways)}")
    if given["grafana_package_url"] and not given["grafana_package_checksum"]:
        found.append("give grafana_package_checksum for grafana_package_url")
    if given["grafana_package_path"] and not pathlib.Path(str(given["grafana_package_path"])).is_file():
        found.append(f"grafana_package_path {given['grafana_package_path']} is not a file on the controller")
    if given["grafana_repository"] and not given["grafana_repository"].get("url"):
        found.append("give grafana_repository its url")
    if given["grafana_version"] and not given["grafana_repository"]:
        found.append("grafana_version applies to grafana_repository only")
    if not given["grafana_admin_password"]:
        found.append("give grafana_admin_password")
    return found


def _address_faults(url: str) -> list[str]:
    if not url:
        return []
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return [f"grafana_external_url {url!r} is not an http or https URL"]
    return ["grafana_external_url must have no query and no fragment"] if parts.query or parts.fragment else []


def _ini_faults(sections: Options) -> list[str]:
    found = []
    for section, settings in sections.items():
        if not isinstance(settings, t.Mapping):
            found.append(f"grafana_ini: section {section!r} must hold keys and values")
            continue
        for key, value in settings.items():
            found += _setting_faults(section, str(key), value)
    return found


def _setting_faults(section: str, key: str, value: t.Any) -> list[str]:
    name = f"grafana_ini: {section}.{key}"
    text = "" if value is None else str(value)
    if owner := _owner(section, key):
        return [f"{name} {owner}"]
    if isinstance(value, (list, t.Mapping)):
        return [f"{name} must be a single value; write a list as Grafana expects it, as one text"]
    if "\n" in text or '"""' in text:
        return [f'{name} must have one line and no """']
    if SECRET_SETTING.search(key) and not NO_SECRET.fullmatch(text):
        return [f"{name} is a secret: {ELSEWHERE}"]
    return []


def _owner(section: str, key: str) -> str | None:
    """Why the role alone decides about a setting, where it does."""
    if (section, key) in OWN_SETTINGS:
        return f"is set by {OWN_SETTINGS[section, key]}"
    if section == "paths":
        return "is fixed, as the service can write nowhere else"
    if (section, key) in (("server", "protocol"), ("server", "socket")):
        return "is fixed, as the role serves plain HTTP: put a reverse proxy with TLS in front of Grafana"
    return None


def _plugin_faults(rows: t.Sequence[Options], sections: Options) -> list[str]:
    """Plugins that are not pinned, or come from nowhere or from two places."""
    found = [f"grafana_plugins: {row.get('id')}: {fault}" for row in rows for fault in _pin_faults(row)]
    ids = repeated([str(row.get("id")) for row in rows])
    found += [f"grafana_plugins: {name} occurs more than once" for name in ids]
    settings = sections.get("plugins")
    for key in settings if isinstance(settings, t.Mapping) else ():
        if key in ("preinstall", "preinstall_sync"):
            found.append(f"grafana_ini: plugins.{key} would have Grafana install at each start: use grafana_plugins")
        if key == "plugin_admin_enabled" and rows:
            found.append(f"grafana_ini: plugins.{key} is set by grafana_plugins")
    return found


def _pin_faults(row: Options) -> list[str]:
    found = []
    if not PLUGIN_ID.fullmatch(str(row.get("id"))):
        found.append("the id must be lower-case letters, digits and -")
    if not PLUGIN_VERSION.fullmatch(str(row.get("version"))):
        found.append(f"version {row.get('version')!r} is not one version, such as 2.1.8")
    if not CHECKSUM.fullmatch(str(row.get("checksum") or "")):
        found.append("it is not pinned: give the checksum of its archive as sha256:HEX")
    url, path = row.get("url"), row.get("path")
    if bool(url) == bool(path):
        found.append("give either url or path")
    elif url and not str(url).startswith(("https://", "http://", "file:///")):
        found.append(f"{url!r} is not an http or https URL")
    elif path and not pathlib.Path(str(path)).is_file():
        found.append(f"{path} is not a file on the controller")
    return found


def _secret_faults(given: Options) -> list[str]:
    """Names that cannot be files, and references to secrets that are not given."""
    names = [str(name) for name in given["grafana_secrets"]]
    found = [
        f"grafana_secrets: the name {name!r} must be letters, digits, _, - and ."
        for name in names
        if not SECRET_NAME.fullmatch(name)
    ]
    if "admin-password" in names:
        found.append("grafana_secrets: admin-password is the role's own; the password is grafana_admin_password")
    text = json.dumps([given["grafana_ini"], given["datasources"]], default=str)
    referred = re.findall(rf"\$__file\{{{re.escape(given['credentials'])}/([^}}]+)\}}", text)
    found += [
        f"{name!r} is referred to and is not in grafana_secrets"
        for name in sorted(set(referred) - set(names) - {"admin-password"})
    ]
    return found


def _environment_faults(variables: Options) -> list[str]:
    return [
        f"grafana_environment: {name!r} is not the name of an environment variable"
        for name in variables
        if not VARIABLE_NAME.fullmatch(str(name))
    ] + [f"grafana_environment: {name} must have one line" for name, value in variables.items() if "\n" in str(value)]


def _source_faults(sources: t.Sequence[Options]) -> list[str]:
    """Why Grafana would not start with these data sources, or would never reach them."""
    found = []
    for source in sources:
        name = f"data source {source.get('name')!r}"
        found += [f"{name} has no {key}" for key in ("name", "type") if not source.get(key)]
        url = str(source.get("url") or "")
        if url and "://" not in url and "$__" not in url and source.get("type") not in HOST_AND_PORT:
            found.append(f"{name}: {url!r} is not an http or https URL")
        if source.get("uid") and not UID.fullmatch(str(source["uid"])):
            found.append(f"{name}: uid {source['uid']!r} must be 1 to 40 letters, digits, - or _")
        found += [
            f"{name}: secureJsonData.{key} is in plain text: {ELSEWHERE}"
            for key, value in (source.get("secureJsonData") or {}).items()
            if not NO_SECRET.fullmatch(str(value))
        ]
    found += [
        f"the data source {key} {value!r} occurs more than once"
        for key in ("name", "uid")
        for value in repeated([str(source[key]) for source in sources if source.get(key)])
    ]
    if sum(str(source.get("isDefault", "")).lower() in ("true", "yes", "1") for source in sources) > 1:
        found.append("more than one data source has isDefault")
    return found
