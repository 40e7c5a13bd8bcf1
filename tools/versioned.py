"""`make versioned`: writes versioned.json, the template for gradual deployments and SnapStart.

template.yaml gives new code to all callers at once. In this form of it, each function that a request passes through has
a version for each release, and an alias that the API invokes. SAM cannot make that depend on a parameter (decision
0013), so it is a form of its own, made from template.yaml for each release.
"""

import json
import time
from typing import Any

from local.template import ROOT

PATH = ROOT / "versioned.json"

# Those of observability.yaml that tell a bad release: any of them takes it back.
ALARMS = ("server-errors", "latency", "authorizer-failures")

PARAMETERS = {
    "GradualDeployment": {
        "Type": "String",
        "Default": "AllAtOnce",
        "AllowedValues": [
            "AllAtOnce",
            "Canary10Percent5Minutes",
            "Canary10Percent10Minutes",
            "Canary10Percent15Minutes",
            "Canary10Percent30Minutes",
            "Linear10PercentEvery1Minute",
            "Linear10PercentEvery2Minutes",
            "Linear10PercentEvery3Minutes",
            "Linear10PercentEvery10Minutes",
        ],
        "Description": "How requests move to a new release; an alarm takes it back.",
    },
    "SnapStart": {
        "Type": "String",
        "Default": "off",
        "AllowedValues": ["on", "off"],
        "Description": "Whether functions start from a snapshot; it is billed for each version and each start.",
    },
}


def versioned(template: dict[str, Any], release: str) -> dict[str, Any]:
    """The template with versions and aliases of the functions that a request passes through."""
    template["Parameters"] |= PARAMETERS
    template["Conditions"]["HasSnapStart"] = {"Fn::Equals": [{"Ref": "SnapStart"}, "on"]}
    for name, resource in template["Resources"].items():
        events = resource["Properties"].get("Events", {}).values()
        if name == "Authorizer" or any(event["Type"] == "Api" for event in events):
            resource["Properties"] |= {
                "AutoPublishAlias": "live",
                "AutoPublishAliasAllProperties": True,
                # Each that is kept costs what SnapStart costs; going back is deploying what was before.
                "VersionDeletionPolicy": "Delete",
                # SAM makes a version when the template's text changes, and the value of a parameter is none of it.
                "Environment": {"Variables": {"RELEASE": release}},
                "SnapStart": {"ApplyOn": {"Fn::If": ["HasSnapStart", "PublishedVersions", "None"]}},
                "DeploymentPreference": {
                    "Type": {"Ref": "GradualDeployment"},
                    "Alarms": [{"Fn::Sub": f"${{AWS::StackName}}-{alarm}"} for alarm in ALARMS],
                },
            }
    template["Resources"]["Api"]["Properties"]["Auth"]["Authorizers"]["Credential"]["FunctionArn"] = {
        "Ref": "Authorizer.Alias"
    }
    return template


def main() -> None:
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse((ROOT / "template.yaml").read_text())
    release = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    PATH.write_text(json.dumps(versioned(template, release), indent=1))
    print(f"{PATH.name}, release {release}. Now: sam build -t {PATH.name}")


if __name__ == "__main__":
    main()
