/** A file system of a test's own. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

export interface TestTree {
  readonly root: string
  file(path: string, text: string): void
  link(path: string, target: string): void
  remove(path: string): void
}

export function testTree(files: Readonly<Record<string, string>> = {}): TestTree {
  const root = mkdtempSync(join(tmpdir(), 'milterhost-detect-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const at = (path: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    return join(root, path)
  }
  const tree: TestTree = {
    root,
    file: (path, text) => writeFileSync(at(path), text),
    link: (path, target) => symlinkSync(target, at(path)),
    remove: path => rmSync(join(root, path), { recursive: true, force: true }),
  }
  for (const [path, text] of Object.entries(files)) tree.file(path, text)
  return tree
}

const WANTS = '/etc/systemd/system/multi-user.target.wants'

/** OpenDKIM as a package installs it, listening on that port. */
export function installOpendkim(tree: TestTree, port: number): void {
  tree.file('/etc/opendkim.conf', `Socket inet:${port}@127.0.0.1\nUserID opendkim\n`)
  tree.file(
    '/usr/lib/systemd/system/opendkim.service',
    '[Service]\nExecStart=/usr/sbin/opendkim -x /etc/opendkim.conf\n',
  )
}

export const enable = (tree: TestTree, unit: string): void =>
  tree.link(`${WANTS}/${unit}`, `/usr/lib/systemd/system/${unit}`)

export const disable = (tree: TestTree, unit: string): void => tree.remove(`${WANTS}/${unit}`)
