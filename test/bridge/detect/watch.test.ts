/** Changes of the machine come by themselves: watched for real, with as much time as it takes. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { changes } from '../../../src/bridge/detect/changes.ts'
import { type Change, DetectWatch, detect } from '../../../src/bridge/detect/index.ts'
import { createLog } from '../../../src/host/observe/output.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
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
