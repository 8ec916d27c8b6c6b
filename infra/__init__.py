"""What exists in AWS: one thin stack per concern, built from validated settings."""

import os
import sys
from pathlib import Path

# jsii runs on Node; the one installed beside this Python is the version it supports.
_node = Path(sys.executable).with_name("node")
if _node.exists():
    os.environ.setdefault("JSII_NODE", str(_node))
