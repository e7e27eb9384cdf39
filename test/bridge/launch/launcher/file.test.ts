/** Which file the launcher believes. Needs root, because only root's files are believed at all. */
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { readEntries, trusted } from '../../../../src/bridge/launch/launcher/file.ts'
import { asRoot, folder } from '../places.ts'

const GOOD = { opendkim: { systemd: 'opendkim.service' }, regex: { command: ['/usr/sbin/regex'], user: 'regex' } }

asRoot('the file of what may be started', () => {
  const place = folder()
  const inner = join(place, 'etc')
  const file = join(inner, 'launch.json')
  beforeEach(() => {
    rmSync(inner, { recursive: true, force: true })
    mkdirSync(inner, { mode: 0o755 })
    writeFileSync(file, JSON.stringify(GOOD), { mode: 0o644 })
  })
  const message = (path = file): string => {
    try {
      readEntries(path)
      return 'no error'
    } catch (error) {
      expect(error).toMatchObject({ code: 'LAUNCHER_FILE' })
      return (error as Error).message
    }
  }

  test('is read when it is root’s alone', () => {
    expect([...readEntries(file)]).toEqual(Object.entries(GOOD))
  })

  test.each<[string, () => void, RegExp]>([
    ['its group may write', () => chmodSync(file, 0o664), /launch.json may be written by others \(mode 664\)/],
    ['others may write', () => chmodSync(file, 0o646), /launch.json may be written by others \(mode 646\)/],
    ['somebody else has', () => chownSync(file, 65534, 0), /launch.json belongs to user 65534, not to root/],
    ['lies in a folder that its group may write', () => chmodSync(inner, 0o775), /etc may be written by others/],
    ['lies in a folder that others may write', () => chmodSync(inner, 0o1777), /etc may be written by others/],
    ['lies in a folder of somebody else', () => chownSync(inner, 65534, 0), /etc belongs to user 65534/],
    [
      'is a link',
      () => {
        renameSync(file, `${file}.real`)
        symlinkSync(`${file}.real`, file)
      },
      /launch.json is a symbolic link/,
    ],
    [
      'lies behind a link',
      () => {
        renameSync(inner, `${inner}.real`)
        symlinkSync(`${inner}.real`, inner)
      },
      /etc is a symbolic link/,
    ],
    ['is not there', () => rmSync(file), /launch.json does not exist/],
    [
      'is a folder',
      () => {
        rmSync(file)
        mkdirSync(file)
      },
      /launch.json is not a file/,
    ],
    ['is too large', () => writeFileSync(file, ' '.repeat(65_537)), /more than 65536 bytes/],
    ['is no JSON', () => writeFileSync(file, '{ opendkim: 1 }'), /is not used: .*JSON/],
    ['is a list', () => writeFileSync(file, '[]'), /must hold an object from ids to entries/],
    ['has an id that is a path', () => writeFileSync(file, '{"../x":{"service":"x"}}'), /"..\/x": is no id/],
    ['has an unknown key', () => writeFileSync(file, '{"x":{"service":"x","shell":true}}'), /"x": shell is not known/],
    ['has a command without a user', () => writeFileSync(file, '{"x":{"command":["/bin/x"]}}'), /"x": needs a user/],
    ['has an entry that is a text', () => writeFileSync(file, '{"x":"/bin/x"}'), /"x": must be an object with one of/],
  ])('is not believed when it %s', (_, spoil, why) => {
    spoil()
    expect(message()).toMatch(why)
    rmSync(`${inner}.real`, { recursive: true, force: true })
  })

  test('is named by a plain absolute path', () => {
    for (const path of ['launch.json', `${inner}/../etc/launch.json`, `${inner}//launch.json`, `${file}/`, '']) {
      expect(message(path)).toMatch(/it is not a plain absolute path/)
    }
  })

  test('tells all its mistakes at once', () => {
    writeFileSync(file, '{"a":{"systemd":"a"},"b":{"command":["b"],"user":"x"}}')
    expect(message()).toMatch(/"a": systemd must be a unit.*; "b": command must be a list/)
  })
})

asRoot('a program that is run as root', () => {
  test('is believed like the file', () => {
    expect(trusted('/usr/bin/setpriv')).toBe('/usr/bin/setpriv')
    const place = folder()
    const program = join(place, 'setpriv')
    writeFileSync(program, '', { mode: 0o755 })
    expect(trusted(program)).toBe(program)
    chmodSync(program, 0o775)
    expect(() => trusted(program)).toThrow(/may be written by others/)
    expect(() => trusted('/usr/bin/no-such-program')).toThrow(/does not exist/)
  })
})
