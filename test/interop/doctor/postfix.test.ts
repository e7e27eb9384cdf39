import { chmodSync, chownSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { beforeAll, expect, it } from 'vitest'
import spf from '../../../plugins/spf/src/index.ts'
import { thisMachine } from '../../../src/bridge/doctor/index.ts'
import { socket as socketEntry } from '../../../src/index.ts'
import { startHost } from '../harness/host.ts'
import { freePort, onCleanup, requirePrograms, tempDir } from '../harness/index.ts'
import { examine, folder, MASTER, type PostfixPlanted, postfixFiles } from './site.ts'

interface Fault extends PostfixPlanted {
  /** What postconf is to say of its version. */
  version?: string
  /** All codes that are found. */
  codes: string[]
  /** Where the first one is, and what to write. */
  where: string | RegExp
  write: string | RegExp
}

requirePrograms('postfix')('the doctor on a site with Postfix', () => {
  let queue: string
  let socket: string
  let listen: object
  let postfix: number
  let tcp: string
  let other: string
  let silent: string
  let closed: string
  let spool: string

  beforeAll(async () => {
    queue = tempDir('doctor-queue')
    chmodSync(queue, 0o755)
    socket = `${folder(`${queue}/milterhost`)}/milterhost.sock`
    postfix = thisMachine().user('postfix')!.groups[0]!
    await startHost({ listen: `unix:${socket}` })
    restore()
    listen = { address: `unix:${socket}`, group: 'postfix' }
    tcp = (await startHost({ listen: 'inet' })).address
    other = (await startHost({ listen: 'inet' })).address
    closed = `inet:127.0.0.1:${await freePort()}`
    const server = net.createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise(done => server.once('listening', done))
    onCleanup(() => void server.close())
    silent = `inet:127.0.0.1:${(server.address() as net.AddressInfo).port}`
    spool = folder(tempDir('doctor-spool'), 0o700)
  })

  const restore = (): void => {
    chmodSync(socket, 0o660)
    chownSync(socket, 0, postfix)
    chmodSync(`${queue}/milterhost`, 0o755)
  }

  const look = (planted: PostfixPlanted, milters = 'unix:milterhost/milterhost.sock') => {
    const directory = postfixFiles(queue, milters, planted)
    return examine(
      { postfix: directory },
      { ...planted, config: { listen, spool: { directory: spool }, ...planted.config } },
    )
  }

  it('finds nothing where all is well, over a UNIX socket in the chroot and over TCP', async () => {
    const unix = await look({})
    expect(unix.findings).toEqual([])
    expect(unix.well.length).toBeGreaterThan(25)
    expect((await look({ config: { listen: tcp } }, tcp)).findings).toEqual([])
  })

  const faults: [string, () => Fault][] = [
    [
      'milterhost is not named',
      () => ({
        main: { smtpd_milters: '' },
        codes: ['CHAIN_MISSING', 'CHAIN_SERVICE'],
        where: /main\.cf:4$/,
        write: 'smtpd_milters = unix:milterhost/milterhost.sock',
      }),
    ],
    [
      'submission has no milters',
      () => ({
        master: MASTER.replace('-o smtpd_sasl', '-o smtpd_milters=\n  -o smtpd_sasl'),
        codes: ['CHAIN_SERVICE'],
        where: /master\.cf:2$/,
        write: /^-o smtpd_milters=\$smtpd_milters/,
      }),
    ],
    [
      "an address in Sendmail's spelling",
      () => ({
        main: { smtpd_milters: tcp.replace(/inet:(.*):(\d+)/, 'inet:$2@$1') },
        config: { listen: tcp },
        codes: ['CHAIN_MISSING', 'CHAIN_SPELLING', 'CHAIN_SERVICE'],
        where: /main\.cf:4$/,
        write: `smtpd_milters = ${tcp}`,
      }),
    ],
    [
      'an IPv6 address without brackets',
      () => ({
        main: { smtpd_milters: `unix:milterhost/milterhost.sock, inet:::1:10026` },
        codes: ['CHAIN_SPELLING'],
        where: /main\.cf:4$/,
        write: 'smtpd_milters = inet:[::1]:10026',
      }),
    ],
    [
      'a port where nobody listens',
      () => ({
        main: { smtpd_milters: `unix:milterhost/milterhost.sock ${closed}` },
        codes: ['CHAIN_NOBODY', 'CHAIN_BESIDE'],
        where: /main\.cf:4$/,
        write: `take ${closed} out, or start that milter`,
      }),
    ],
    [
      'another port than ours',
      () => ({
        main: { smtpd_milters: `unix:milterhost/milterhost.socket` },
        codes: ['CHAIN_MISSING', 'CHAIN_NOBODY', 'CHAIN_SERVICE'],
        where: /main\.cf:4$/,
        write: 'smtpd_milters = unix:milterhost/milterhost.sock',
      }),
    ],
    [
      'milterhost is named twice',
      () => ({
        main: { smtpd_milters: `unix:milterhost/milterhost.sock, unix:${'/milterhost/milterhost.sock'}` },
        codes: ['CHAIN_TWICE'],
        where: /main\.cf:4$/,
        write: 'smtpd_milters = unix:milterhost/milterhost.sock',
      }),
    ],
    [
      'a milter of the chain is asked by Postfix too',
      () => ({
        main: { smtpd_milters: `unix:milterhost/milterhost.sock, ${other}` },
        config: { filters: [socketEntry('scanner', other)] },
        codes: ['CHAIN_DOUBLE'],
        where: /main\.cf:4$/,
        write: 'smtpd_milters = unix:milterhost/milterhost.sock',
      }),
    ],
    [
      'another milter beside',
      () => ({
        main: { smtpd_milters: `unix:milterhost/milterhost.sock, ${other}` },
        codes: ['CHAIN_BESIDE'],
        where: /main\.cf:4$/,
        write: new RegExp(`^socket\\('.*', '${other.replace(/inet:(.*):(\d+)/, 'inet:$2@$1')}'\\) in filters`),
      }),
    ],
    [
      'a signer before milterhost',
      () => {
        mkdirSync(`${queue}/opendkim`, { recursive: true })
        return {
          main: { smtpd_milters: 'unix:opendkim/opendkim.sock, unix:milterhost/milterhost.sock' },
          codes: ['CHAIN_NOBODY', 'CHAIN_SIGNER_FIRST', 'CHAIN_BESIDE'],
          where: /main\.cf:4$/,
          write: /.*/,
        }
      },
    ],
    [
      'localhost by name',
      () => ({
        main: { smtpd_milters: tcp.replace('127.0.0.1', 'localhost') },
        config: { listen: tcp },
        codes: ['CHAIN_LOCALHOST'],
        where: /main\.cf:4$/,
        write: `smtpd_milters = ${tcp}`,
      }),
    ],
    [
      'a Postfix that speaks IPv6 alone',
      () => ({
        main: { smtpd_milters: tcp, inet_protocols: 'ipv6' },
        config: { listen: tcp },
        codes: ['CHAIN_FAMILY'],
        where: /main\.cf:7$/,
        write: 'inet_protocols = all',
      }),
    ],
    [
      'an absolute path in a chroot',
      () => ({
        main: { smtpd_milters: `unix:${socket}` },
        codes: ['CHAIN_MISSING', 'SOCKET_CHROOT', 'CHAIN_SERVICE'],
        where: /main\.cf:4$/,
        write: 'smtpd_milters = unix:milterhost/milterhost.sock',
      }),
    ],
    [
      'a socket that Postfix may not write to',
      () => {
        chownSync(socket, 0, 0)
        return {
          codes: ['SOCKET_DENIED'],
          where: socket,
          write: `listen: { address: 'unix:${socket}', mode: '660', group: 'postfix' }`,
        }
      },
    ],
    [
      'a folder that Postfix may not pass through',
      () => {
        chmodSync(`${queue}/milterhost`, 0o700)
        return {
          codes: ['SOCKET_DENIED'],
          where: `${queue}/milterhost`,
          write: `chgrp postfix ${queue}/milterhost && chmod g+x ${queue}/milterhost`,
        }
      },
    ],
    [
      'a socket that anyone may write to',
      () => {
        chmodSync(socket, 0o666)
        return { codes: ['SOCKET_OPEN'], where: socket, write: /mode: '660'/ }
      },
    ],
    [
      'a listener on every interface',
      () => ({
        main: { smtpd_milters: tcp },
        config: { listen: `inet:${tcp.split(':')[2]}@0.0.0.0` },
        codes: ['SOCKET_PUBLIC'],
        where: 'milterhost.config.ts: listen',
        write: `listen: 'inet:${tcp.split(':')[2]}@127.0.0.1'`,
      }),
    ],
    [
      'no milterhost running',
      () => ({
        main: { smtpd_milters: closed },
        config: { listen: closed },
        codes: ['SOCKET_ABSENT'],
        where: 'milterhost.config.ts: listen',
        write: /^systemctl start milterhost/,
      }),
    ],
    [
      'a socket that was left behind',
      () => {
        const left = leftSocket(queue)
        chownSync(left, 0, postfix)
        chmodSync(left, 0o660)
        return {
          main: { smtpd_milters: 'unix:left.sock' },
          config: { listen: `unix:${left}` },
          codes: ['SOCKET_STALE'],
          where: left,
          write: /^systemctl start milterhost/,
        }
      },
    ],
    [
      'something else on the port',
      () => ({
        main: { smtpd_milters: silent },
        config: { listen: silent },
        codes: ['SOCKET_SILENT'],
        where: 'milterhost.config.ts: listen',
        write: /^listen: an address of its own/,
      }),
    ],
    [
      'milter_default_action = accept',
      () => ({
        main: { milter_default_action: 'accept' },
        codes: ['POSTFIX_DEFAULT_ACTION'],
        where: /main\.cf:6$/,
        write: 'milter_default_action = tempfail',
      }),
    ],
    [
      'default_action=reject beside the address',
      () => ({
        main: { smtpd_milters: '{ unix:milterhost/milterhost.sock, default_action=reject }' },
        codes: ['POSTFIX_DEFAULT_ACTION'],
        where: /main\.cf:4 \(unix:milterhost\/milterhost\.sock\)$/,
        write: 'milter_default_action = tempfail',
      }),
    ],
    [
      'milter_default_action = quarantine',
      () => ({
        main: { milter_default_action: 'quarantine' },
        codes: ['POSTFIX_QUARANTINE'],
        where: /main\.cf:6$/,
        write: 'milter_default_action = tempfail',
      }),
    ],
    [
      'too short a milter_command_timeout',
      () => ({
        main: { milter_command_timeout: '10s' },
        codes: ['POSTFIX_COMMAND_TIMEOUT'],
        where: /main\.cf:7$/,
        write: 'milter_command_timeout = 30s',
      }),
    ],
    [
      'a budget beyond milter_command_timeout',
      () => ({
        config: { budget: { command: '2m' } },
        codes: ['POSTFIX_COMMAND_TIMEOUT'],
        where: /main\.cf \(milter_command_timeout is not set\)$/,
        write: 'milter_command_timeout = 125s',
      }),
    ],
    [
      'too short a milter_content_timeout',
      () => ({
        main: { milter_content_timeout: '1m' },
        codes: ['POSTFIX_CONTENT_TIMEOUT'],
        where: /main\.cf:7$/,
        write: 'milter_content_timeout = 300s',
      }),
    ],
    [
      'too short a milter_connect_timeout',
      () => ({
        main: { milter_connect_timeout: '2s' },
        codes: ['POSTFIX_CONNECT_TIMEOUT'],
        where: /main\.cf:7$/,
        write: 'milter_connect_timeout = 30s',
      }),
    ],
    [
      'an old protocol without the macros that are needed',
      () => ({
        main: { milter_protocol: '3', milter_connect_macros: 'j {daemon_addr}', milter_mail_macros: 'i' },
        codes: ['POSTFIX_MACROS', 'POSTFIX_MACROS', 'POSTFIX_PROTOCOL', 'POSTFIX_PLACE'],
        where: /main\.cf:9$/,
        write: 'milter_mail_macros = i {auth_type} {auth_authen}',
      }),
    ],
    [
      'an old protocol that does not tell where a connection was taken',
      () => ({
        main: { milter_protocol: '4', milter_connect_macros: 'j v' },
        codes: ['POSTFIX_PROTOCOL', 'POSTFIX_PLACE'],
        where: /main\.cf:8$/,
        write: 'milter_connect_macros = j v {daemon_addr} {daemon_port}',
      }),
    ],
    [
      'an old protocol',
      () => ({
        main: { milter_protocol: '4', milter_connect_macros: 'j v {daemon_addr} {daemon_port}' },
        codes: ['POSTFIX_PROTOCOL'],
        where: /main\.cf:7$/,
        write: 'milter_protocol = 6',
      }),
    ],
    [
      'a Postfix before 3.2',
      () => ({
        version: '3.1.9',
        codes: ['POSTFIX_OLD'],
        where: /^postconf -c .* mail_version$/,
        write: 'mta: { addresses: [25] }',
      }),
    ],
    [
      'a Postfix before 2.6',
      () => ({
        version: '2.5.17',
        codes: ['POSTFIX_VERSION', 'POSTFIX_OLD'],
        where: /^postconf -c .* mail_version$/,
        write: 'install Postfix 2.6 or newer',
      }),
    ],
    [
      'no non_smtpd_milters',
      () => ({
        main: { non_smtpd_milters: '' },
        codes: ['POSTFIX_NON_SMTPD'],
        where: /main\.cf:5$/,
        write: 'non_smtpd_milters = $smtpd_milters',
      }),
    ],
    [
      'notices of Postfix are filtered',
      () => ({
        main: { internal_mail_filter_classes: 'bounce, notify' },
        codes: ['POSTFIX_INTERNAL_CLASSES'],
        where: /main\.cf:7$/,
        write: 'internal_mail_filter_classes =',
      }),
    ],
    [
      'no_milters everywhere',
      () => ({
        main: { receive_override_options: 'no_address_mappings, no_milters' },
        codes: ['POSTFIX_NO_MILTERS', 'POSTFIX_NO_MILTERS'],
        where: /main\.cf:7$/,
        write: 'receive_override_options = no_address_mappings',
      }),
    ],
    [
      'no_milters for smtp',
      () => ({
        master: MASTER.replace('smtpd\nsub', 'smtpd\n  -o receive_override_options=no_milters\nsub'),
        codes: ['POSTFIX_NO_MILTERS'],
        where: /master\.cf:1$/,
        write: 'receive_override_options =',
      }),
    ],
    [
      'mail comes back from a content filter',
      () => ({
        main: { content_filter: 'smtp:[127.0.0.1]:10024' },
        master: `${MASTER}127.0.0.1:10025 inet n - n - - smtpd -o content_filter=\n`,
        codes: ['POSTFIX_REINJECTED'],
        where: /master\.cf:5$/,
        write: '-o smtpd_milters=',
      }),
    ],
    [
      'more processes than sessions',
      () => ({
        main: { default_process_limit: '500' },
        config: { limits: { sessions: 600 } },
        codes: ['POSTFIX_PROCESSES'],
        where: /limits\.sessions; .*main\.cf:7$/,
        write: 'limits: { sessions: 1250 }',
      }),
    ],
    [
      'a proxy before Postfix',
      () => ({
        main: { smtpd_upstream_proxy_protocol: 'haproxy' },
        codes: ['POSTFIX_PROXY'],
        where: /main\.cf:7$/,
        write: /^liveness: 'off'/,
      }),
    ],
    [
      'the other MTA is said to ask',
      () => ({
        config: { mta: 'sendmail' },
        codes: ['MTA_KIND'],
        where: 'milterhost.config.ts: mta',
        write: "mta: 'postfix'",
      }),
    ],
    [
      'the chain asks itself',
      () => ({
        config: { filters: [socketEntry('again', `unix:${socket}`)] },
        codes: ['CHAIN_LOOP'],
        where: 'milterhost.config.ts: filters[0]',
        write: /^filters\[0\]: the address/,
      }),
    ],
    [
      'an external milter that is not there',
      () => ({
        config: { filters: [socketEntry('scanner', closed)] },
        codes: ['FILTER_UNREACHABLE'],
        where: 'milterhost.config.ts: filters[0]',
        write: /^start that milter/,
      }),
    ],
    [
      'a filter with more time than the chain',
      () => ({
        config: { filters: [socketEntry('scanner', other, { timeouts: { end: '10m' } })] },
        codes: ['FILTER_TIMEOUT'],
        where: 'milterhost.config.ts: filters[0]',
        write: /^budget: \{ end: '10m5s' \}/,
      }),
    ],
    [
      'two that write Authentication-Results',
      () => ({
        config: { filters: [spf(), socketEntry('opendkim', other)] },
        codes: ['FILTER_RESULTS_TWICE'],
        where: 'milterhost.config.ts: filters[1]',
        write: /^authentication: \{ authservId/,
      }),
    ],
    [
      'a spool folder whose place is missing',
      () => ({
        config: { spool: { directory: '/nowhere/at/all' } },
        codes: ['SPOOL_FOLDER'],
        where: 'milterhost.config.ts: spool.directory',
        write: 'mkdir -p /nowhere/at',
      }),
    ],
    [
      'a spool folder that others may enter',
      () => {
        const open = folder(tempDir('doctor-open'), 0o755)
        return {
          config: { spool: { directory: open } },
          codes: ['SPOOL_FOLDER'],
          where: open,
          write: `chmod 700 ${open}`,
        }
      },
    ],
    [
      'a spool folder in memory',
      () => ({
        machine: { fileSystem: () => ({ inMemory: true, free: 1e12 }) },
        codes: ['SPOOL_MEMORY'],
        where: 'milterhost.config.ts: spool.directory',
        write: "spool: { directory: '/var/tmp/milterhost' }",
      }),
    ],
    [
      'a spool disk that is nearly full',
      () => ({
        machine: { fileSystem: () => ({ inMemory: false, free: 100 * 1024 * 1024 }) },
        codes: ['SPOOL_SPACE'],
        where: 'milterhost.config.ts: spool.directory',
        write: /^limits: \{ body: '25MiB' \}/,
      }),
    ],
    [
      'a Node that is too old',
      () => ({
        machine: { nodeVersion: '20.20.2' },
        codes: ['NODE_VERSION'],
        where: /node/,
        write: /^install Node 24/,
      }),
    ],
  ]

  it.each(faults)('finds %s', async (_, plant) => {
    try {
      const fault = plant()
      const { findings } = await withVersion(fault.version, () => look(fault))
      expect(findings.map(({ code }) => code)).toEqual(fault.codes)
      const found = findings.filter(({ where, write }) => matches(where, fault.where) && matches(write, fault.write))
      expect(found.length, JSON.stringify(findings, null, 1)).toBeGreaterThan(0)
    } finally {
      restore()
    }
  })

  it('finds nobody to compare with where no MTA is', async () => {
    const { findings } = await examine({}, { config: { listen: tcp, spool: { directory: spool } } })
    expect(findings.map(({ code }) => code)).toEqual(['MTA_NONE'])
  })

  it('says that clients of an MTA elsewhere cannot be seen', async () => {
    const machine = { ...thisMachine() }
    const { findings } = await examine(
      {},
      { machine, config: { listen: `inet:${tcp.split(':')[2]}@192.0.2.1`, spool: { directory: spool } } },
    )
    expect(findings.map(({ code }) => code)).toContain('LIVENESS_ELSEWHERE')
  })

  it('warns of a socket in /tmp itself', async () => {
    const { findings } = await examine({}, { config: { listen: 'unix:/tmp/m.sock', spool: { directory: spool } } })
    expect(findings.map(({ code }) => code)).toContain('SOCKET_TMP')
  })

  it('says what postconf says about files that it cannot read', async () => {
    const directory = postfixFiles(queue, 'unix:x', { main: { smtpd_milters: '$smtpd_milters' } })
    await expect(examine({ postfix: directory }, {})).rejects.toMatchObject({ code: 'DOCTOR_POSTFIX' })
    await expect(examine({ postfix: '/nowhere' }, {})).rejects.toMatchObject({ code: 'DOCTOR_POSTFIX' })
  })
})

const matches = (text: string, pattern: string | RegExp): boolean =>
  typeof pattern === 'string' ? text === pattern : pattern.test(text)

/** Runs with a postconf first in PATH that is the real one but for its version. */
async function withVersion<T>(version: string | undefined, run: () => Promise<T>): Promise<T> {
  if (version === undefined) return run()
  const real = process.env.PATH
  const directory = tempDir('doctor-bin')
  const script = `#!/bin/sh\nPATH='${real}' postconf "$@" | sed 's/^mail_version = .*/mail_version = ${version}/'\n`
  writeFileSync(`${directory}/postconf`, script, { mode: 0o755 })
  process.env.PATH = `${directory}:${real}`
  try {
    return await run()
  } finally {
    process.env.PATH = real
  }
}

/** A socket whose server was killed: bound, and then moved away from where its server would remove it. */
function leftSocket(directory: string): string {
  const server = net.createServer()
  server.listen(`${directory}/bound.sock`)
  renameSync(`${directory}/bound.sock`, `${directory}/left.sock`)
  server.close()
  return `${directory}/left.sock`
}
