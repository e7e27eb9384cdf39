// A registry on loopback that has the packed packages and sends npm to the real one for all others: what `npm create` and `npm
// install` see once they are published. Nothing is written anywhere else.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { basename } from 'node:path'

/** Resolves to `{ url, close() }`. */
export async function serveTarballs(tarballs, upstream) {
  const packages = new Map(
    tarballs.map(file => {
      const manifest = JSON.parse(execFileSync('tar', ['-xOf', file, 'package/package.json'], { encoding: 'utf8' }))
      return [manifest.name, { file, manifest }]
    }),
  )
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname).slice(1)
    const found = packages.get(path)
    if (found !== undefined) {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(packument(found)))
      return
    }
    const tarball = tarballs.find(file => path === `-/${basename(file)}`)
    if (tarball !== undefined) response.end(readFileSync(tarball))
    else response.writeHead(302, { location: new URL(request.url.slice(1), upstream).href }).end()
  })
  await new Promise(done => server.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${server.address().port}/`

  const packument = ({ file, manifest }) => {
    const integrity = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`
    const version = { ...manifest, dist: { tarball: `${url}-/${basename(file)}`, integrity } }
    return {
      name: manifest.name,
      'dist-tags': { latest: manifest.version },
      versions: { [manifest.version]: version },
    }
  }
  return {
    url,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
