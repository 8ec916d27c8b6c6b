"""The CDK app. ``cdk deploy --all -c env=local|dev|staging|prod``."""

from __future__ import annotations

from infra.application import main

if __name__ == "__main__":
    main()
