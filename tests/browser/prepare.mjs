// Unpacks the Chromium that came with the package, and the libraries that it wants, beside the package itself.

import { mkdirSync } from "node:fs";

import { inflate } from "@sparticuz/chromium";

// The package unpacks into the folder for temporary files, which make says.
mkdirSync(process.env.TMPDIR, { recursive: true });
const packed = new URL("node_modules/@sparticuz/chromium/bin/", import.meta.url).pathname;
await Promise.all(["chromium.br", "al2023.tar.br", "fonts.tar.br"].map((name) => inflate(packed + name)));
