"""`make sam-local`: what `sam local` needs so that functions in containers find the data of `make run`. See
docs/sam-local.md.
"""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from samtranslator.yaml_helper import yaml_parse

from local.directory import data_directory
from local.rie import MACHINE
from local.template import ROOT, Template, lambda_environment

FOLDER = ROOT / ".aws-sam" / "local"


def main() -> None:
    host = sys.argv[1]
    published = data_directory() / "endpoints.json"
    if not published.exists():
        sys.exit("Nothing runs here that functions could use. Start it: make run")
    prepare(FOLDER, json.loads(published.read_text()), host)
    print(f"{FOLDER.relative_to(ROOT)}/sam.json and env.json lead to {host}, for as long as make run runs.")


def prepare(folder: Path, endpoints: dict[str, str], host: str) -> None:
    """Writes a template and an environment file beside the template in `folder`, what was built. `host` is this machine
    as containers call it.
    """
    function = Template().functions["Provision"]
    there = {name: f"http://{host}:{urlsplit(url).port}" for name, url in endpoints.items()}
    variables = lambda_environment(function, **there)
    template = yaml_parse((folder / "template.yaml").read_text())
    common: dict[str, Any] = template["Globals"]["Function"]
    common["Architectures"] = [MACHINE]
    # SAM passes a variable of the file only where the template has it.
    common["Environment"]["Variables"] |= dict.fromkeys(variables, "see --env-vars")
    (folder / "sam.json").write_text(json.dumps(template, indent=1))
    (folder / "env.json").write_text(json.dumps({"Parameters": variables}, indent=1))


if __name__ == "__main__":
    main()
