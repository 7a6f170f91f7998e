"""A page of your own in twenty lines: what is sent to it comes back restyled.

python -m vidstyle.hosts.web_page vlogger 8000
curl --data-binary @photo.jpg http://localhost:8000 -o restyled.png
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from vidstyle.media.image_file import encode_png, read_picture
from vidstyle.styles.load import load_style


def server(style: str, port: int) -> ThreadingHTTPServer:
    look = load_style(style, device="auto")

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with TemporaryDirectory() as folder:
                sent = Path(folder) / "sent"
                sent.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
                made = look(read_picture(sent)).movedim(0, -1).cpu().numpy()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(encode_png(made))

    return ThreadingHTTPServer(("127.0.0.1", port), Page)


if __name__ == "__main__":
    server(sys.argv[1], int(sys.argv[2])).serve_forever()
