"""How does a test start a real web server, talk to it, and end it as its operator would?"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.services.process import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Server:
    """A server of some Python module in a process of its own, in a folder of its own; `{port}` is put in."""

    def __init__(self, folder: Path, *command: str, **environment: str) -> None:
        self.port = free_port()
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "always::ResourceWarning",
                    "-m",
                    *(part.format(port=self.port) for part in command),
                ],
                cwd=folder,
                env=os.environ
                | {"HOME": str(folder), "PYTHONPATH": f"{folder}:{ROOT}", "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_for_answers(self) -> None:
        """Wait until it answers anything at all."""

        def answers() -> bool:
            assert self.process.poll() is None, self.log()
            try:
                self.get("/")
            except URLError:
                return False
            return True

        wait_until(answers, instead=self.log)

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Ask for a page; return its status and what it says."""
        return self._answer(Request(f"http://127.0.0.1:{self.port}{path}", headers=headers))

    def post(
        self, path: str, body: Any = None, *, content_type: str = "application/json", **headers: str
    ) -> tuple[int, Any]:
        """Send JSON, or bytes of another type."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers |= {"Content-Type": content_type}
        return self._answer(Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method="POST"))

    def stop(self) -> int:
        """End it with SIGTERM; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _answer(self, request: Request) -> tuple[int, Any]:
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, _read(answer)
        except HTTPError as refused:
            with refused:
                return refused.code, _read(refused)


def _read(answer: Any) -> Any:
    body = answer.read()
    return json.loads(body) if answer.headers.get_content_type() == "application/json" else body
