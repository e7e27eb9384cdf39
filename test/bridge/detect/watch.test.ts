/** Changes of the machine come by themselves: watched for real, with as much time as it takes. */
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { changes } from '../../../src/bridge/detect/changes.ts'
import { type Change, DetectWatch, detect } from '../../../src/bridge/detect/index.ts'
import { createLog } from '../../../src/host/observe/output.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import { asRootForOthers } from '../launch/places.ts'
import { disable, enable, installOpendkim, type TestTree, testTree } from './tree.ts'

async function watching(tree: TestTree): Promise<{ next(): Promise<readonly Change[]>; calls: () => number }> {
  const seen: (readonly Change[])[] = []
  let taken = 0
  const watch = new DetectWatch({
    root: tree.root,
    before: detect(tree.root),
    clock: systemClock,
    log: silentLog,
    wanted: () => true,
    changed: list => seen.push(list),
  })
  onTestFinished(() => watch.close())
  await watch.begin()
  return {
    calls: () => seen.length,
    next: () =>
      vi.waitFor(
        () => {
          if (seen.length <= taken) throw new Error('no change yet')
          return seen[taken++]!
        },
        { timeout: 15_000, interval: 20 },
      ),
  }
}

const silentLog = createLog({ clock: systemClock, level: 'error', format: 'json', write: () => {} })

describe('the watch tells', () => {
  it('of a milter that is installed, enabled, reconfigured, disabled, from nothing on', {
    timeout: 60_000,
  }, async () => {
    const tree = testTree()
    const watch = await watching(tree)
    installOpendkim(tree, 8891)
    enable(tree, 'opendkim.service')
    expect(await watch.next()).toEqual([
      { kind: 'added', milter: 'opendkim', fields: { address: 'inet:8891@127.0.0.1' } },
    ])
    tree.file('/etc/opendkim.conf', 'Socket inet:8899@127.0.0.1\nUserID opendkim\n')
    expect(await watch.next()).toEqual([
      { kind: 'changed', milter: 'opendkim', fields: { address: 'inet:8891@127.0.0.1 → inet:8899@127.0.0.1' } },
    ])
    tree.file('/etc/systemd/system/opendkim.service.d/user.conf', '[Service]\nUser=dkim\n')
    expect(await watch.next()).toEqual([{ kind: 'changed', milter: 'opendkim', fields: { user: 'opendkim → dkim' } }])
    disable(tree, 'opendkim.service')
    expect(await watch.next()).toEqual([
      { kind: 'removed', milter: 'opendkim', fields: { address: 'inet:8899@127.0.0.1' } },
    ])
  })

  it('nothing when what changed is no milter’s', { timeout: 60_000 }, async () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    const watch = await watching(tree)
    tree.file('/etc/passwd', 'root')
    tree.file('/etc/opendkim.conf', '# not enabled\nSocket inet:8890@127.0.0.1\n')
    enable(tree, 'opendkim.service')
    expect(await watch.next()).toEqual([
      { kind: 'added', milter: 'opendkim', fields: { address: 'inet:8890@127.0.0.1' } },
    ])
    expect(watch.calls()).toBe(1)
  })

  it('of what changed between the first look and the begin', async () => {
    const tree = testTree()
    const before = detect(tree.root)
    installOpendkim(tree, 8891)
    enable(tree, 'opendkim.service')
    const seen: Change[] = []
    const around = { root: tree.root, before, clock: systemClock, log: silentLog, wanted: () => true }
    const watch = new DetectWatch({ ...around, changed: list => seen.push(...list) })
    onTestFinished(() => watch.close())
    await watch.begin()
    expect(seen).toMatchObject([{ kind: 'added', milter: 'opendkim' }])
  })
})

describe('changes', () => {
  it('are none between two looks at the same machine', () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    enable(tree, 'opendkim.service')
    expect(changes(detect(tree.root).milters, detect(tree.root).milters)).toEqual([])
  })
})

// Only root can take something from another user, and be told so.
asRootForOthers('what the user of milterhost may not read', () => {
  it('is said once and not looked at again and again', () => {
    const tree = testTree({
      '/etc/opendkim/opendkim.conf': 'Socket inet:8891@127.0.0.1\n',
      '/usr/lib/systemd/system/opendkim.service':
        '[Service]\nExecStart=/usr/sbin/opendkim -x /etc/opendkim/opendkim.conf\n',
    })
    chmodSync(tree.root, 0o755)
    chmodSync(join(tree.root, 'etc/opendkim'), 0o700)
    const index = resolve(import.meta.dirname, '../../../src/bridge/detect/index.ts')
    const script = `
      import { DetectWatch, detect } from ${JSON.stringify(index)}
      const root = ${JSON.stringify(tree.root)}
      const [said, timers] = [[], []]
      const watch = new DetectWatch({
        root,
        before: detect(root),
        clock: { now: () => 0, monotonic: () => 0, after: milliseconds => (timers.push(milliseconds), () => {}) },
        log: { warn: ({ folder, error }) => said.push([folder.slice(root.length), error.slice(0, 6)]) },
        wanted: () => true,
        changed() {},
      })
      await watch.begin()
      await watch.begin()
      await watch.close()
      console.log(JSON.stringify({ said, timers }))`
    const { stdout, stderr } = spawnSync(
      '/usr/bin/setpriv',
      ['--reuid=nobody', '--regid=nogroup', '--clear-groups', process.execPath, '--input-type=module', '-e', script],
      { encoding: 'utf8', cwd: '/' },
    )
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({ said: [['/etc/opendkim', 'EACCES']], timers: [] })
  })
})
