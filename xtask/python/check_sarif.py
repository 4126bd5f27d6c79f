#!/usr/bin/env python3
"""Holds the SARIF output of `anewrite check` to the schema of SARIF 2.1.0.

    python check_sarif.py SCHEMA ANEWRITE MODEL…

SCHEMA is sarif-2.1.0-rtm.5.json as the npm package @microsoft/jest-sarif 1.0.0-beta.0 has it in lib/schemas
(`npm pack @microsoft/jest-sarif@1.0.0-beta.0`); another file is refused. Besides what the schema says, every result must
name a rule that the log describes. Needs jsonschema 4.26.0 and nothing else of this folder's requirements.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

import jsonschema

SHA256 = "2d99159ae54a3eea97f81781cff48780548657c35949f4b7f25e99a2ba4de4f8"


def complaints(log, validator):
    for error in validator.iter_errors(log):
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
    for run in log["runs"]:
        rules = [rule["id"] for rule in run["tool"]["driver"].get("rules", [])]
        for result in run.get("results", []):
            at = result.get("ruleIndex", -1)
            if result["ruleId"] not in rules or (at >= 0 and rules[at] != result["ruleId"]):
                yield f"a result of {result['ruleId']} names no rule of the log"


def main():
    schema_file, anewrite, *models = sys.argv[1:]
    data = pathlib.Path(schema_file).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{schema_file} is not the schema that this script was written for")
    validator = jsonschema.Draft4Validator(json.loads(data))
    wrong = False
    for model in models:
        run = subprocess.run([anewrite, "check", "--format", "sarif", model], capture_output=True, text=True)
        # 1 says that there are findings which a rule fixes
        if run.returncode not in (0, 1):
            sys.exit(f"{model}: {run.stderr.strip()}")
        log = json.loads(run.stdout)
        found = list(complaints(log, validator))
        results = sum(len(r.get("results", [])) for r in log["runs"])
        print(f"{model}: {results} results, {len(found)} complaints")
        for complaint in found:
            print(f"  {complaint}")
        wrong |= bool(found)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
