/**
 * A folder of files behind HTTP on loopback, as the web server of a site gives them out: a folder by its `index.html`, and what is not there by
 * `404.html`. For `browser.ts`; not for readers.
 */
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface Served extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string
}

export async function serveFolder(folder: string): Promise<Served> {
  const server = createServer((request, response) => {
    // normalize() of a path that begins with a slash never leaves the folder.
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://site').pathname))
    const file = join(folder, path.endsWith('/') ? `${path}index.html` : path)
    const isThere = existsSync(file) && statSync(file).isFile()
    const sent = isThere ? file : join(folder, '404.html')
    response.writeHead(isThere ? 200 : 404, {
      'content-type': TYPES[extname(sent)] ?? 'application/octet-stream',
      // Files in this folder have their content in their name; each page needs most of them.
      'cache-control': path.startsWith('/assets/') ? 'max-age=3600' : 'no-store',
    })
    response.end(readFileSync(sent))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
