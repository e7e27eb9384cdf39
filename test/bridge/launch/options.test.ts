import { describe, expect, test } from 'vitest'
import { launchProblems } from '../../../src/bridge/launch/index.ts'

describe('launch of a socket', () => {
  test.each([
    { systemd: 'opendkim.service' },
    { systemd: 'opendkim@mx\\x2dout.socket' },
    { service: 'milter-greylist' },
    { launcher: 'opendkim' },
    { command: ['/usr/sbin/opendkim', '-f', ''] },
    {
      command: ['/usr/sbin/opendkim'],
      user: 'opendkim',
      group: 'opendkim',
      groups: ['postfix', 'mail'],
      env: { LANG: 'C', EMPTY: '' },
      directory: '/var/lib/opendkim',
      limits: { nofile: 4096, core: 'unlimited' },
      umask: '007',
    },
  ])('may be %j', launch => {
    expect(launchProblems(launch)).toEqual([])
  })

  test.each<[unknown, RegExp]>([
    [null, /must be an object with one of systemd, service, command, launcher, not null/],
    [['/bin/milter'], /must be an object/],
    [{}, /must be an object/],
    [{ comand: ['/bin/milter'] }, /did you mean "command"/],
    [{ systemd: 'a.service', service: 'a' }, /launch must be an object with one of/],
    [{ systemd: '--force' }, /launch.systemd must be a unit such as/],
    [{ systemd: 'opendkim' }, /launch.systemd must be a unit such as/],
    [{ systemd: 'a.service b.service' }, /launch.systemd must be/],
    [{ systemd: '-H.service' }, /launch.systemd must be/],
    [{ systemd: '../a.service' }, /launch.systemd must be/],
    [{ systemd: 'a.service\n' }, /launch.systemd must be/],
    [{ service: '../../tmp/x' }, /launch.service must be/],
    [{ service: '--status-all' }, /launch.service must be/],
    [{ service: '.' }, /launch.service must be/],
    [{ systemd: 'a.service', user: 'root' }, /launch.user is not known here; known are systemd/],
    [{ launcher: 'a', user: 'b' }, /launch.user cannot stand beside launch.launcher/],
    [{ launcher: '../a' }, /launch.launcher must be an id/],
    [{ command: '/bin/milter -f' }, /launch.command must be a list/],
    [{ command: [] }, /launch.command must be a list/],
    [{ command: ['milter'] }, /launch.command must be a list: the absolute path/],
    [{ command: ['/bin/a=b'] }, /launch.command must be/],
    [{ command: ['/bin/a', 7] }, /launch.command must be/],
    [{ command: ['/bin/a', 'x\0y'] }, /launch.command must be/],
    [{ command: ['/bin/a'], user: '0' }, /launch.user must be the name of a user/],
    [{ command: ['/bin/a'], user: 'a:b' }, /launch.user must be the name of a user/],
    [{ command: ['/bin/a'], group: 7 }, /launch.group must be the name of a group/],
    [{ command: ['/bin/a'], groups: 'mail' }, /launch.groups must be a list/],
    [{ command: ['/bin/a'], env: { 'A=B': 'c' } }, /launch.env must be an object of names and texts/],
    [{ command: ['/bin/a'], env: { A: 1 } }, /launch.env must be/],
    [{ command: ['/bin/a'], directory: 'lib' }, /launch.directory must be an absolute path/],
    [{ command: ['/bin/a'], limits: { nofile: -1 } }, /launch.limits must be/],
    [{ command: ['/bin/a'], limits: { nofiles: 1 } }, /launch.limits must be an object of as, core,/],
    [{ command: ['/bin/a'], umask: '0o7' }, /launch.umask must be an octal number/],
    [{ command: ['/bin/a'], restart: true }, /launch.restart is not known here/],
  ])('cannot be %j', (launch, message) => {
    expect(launchProblems(launch).join('; ')).toMatch(message)
  })
})
