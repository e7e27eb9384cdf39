// Packs a package of the repository as it is published; its own script builds it. milterhost comes first, plugins are built against it.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** The path of the tarball. */
export function pack(folder, into) {
  const args = ['pack', '--json', '--pack-destination', into]
  const [{ filename }] = JSON.parse(
    execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' }),
  )
  return join(into, filename)
}
