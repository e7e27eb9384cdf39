// Packs a package of the repository as it is published; its own script builds it. Also for scripts/check-packages.mjs.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** The tarball. milterhost is packed first: plugins are built against it. */
export function pack(folder: string, into: string): string {
  const args = ['pack', '--json', '--pack-destination', into]
  const said = execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' })
  const [{ filename }] = JSON.parse(said) as [{ filename: string }]
  return join(into, filename)
}
