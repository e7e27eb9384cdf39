import { chmodSync, symlinkSync } from 'node:fs'
import { beforeAll, expect, it } from 'vitest'
import { startHost } from '../harness/host.ts'
import { requirePrograms, tempDir } from '../harness/index.ts'
import { examine, folder, type Planted, sendmailFile } from './site.ts'

interface Fault extends Planted {
  /** Lines of the .mc instead of the healthy one. */
  mc?: string[]
  /** What the file says that it was made for. */
  version?: string
  codes: string[]
  where: string | RegExp
  write: string | RegExp
}

const STICKY = "define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl"
const TIMES = 'T=C:30s;S:30s;R:30s;E:5m'

requirePrograms('sendmail')('the doctor on a site with Sendmail', () => {
  let room: string
  let socket: string
  let tcp: string
  let spool: string

  beforeAll(async () => {
    room = folder(tempDir('doctor-room'))
    socket = `${folder(`${room}/milterhost`)}/milterhost.sock`
    await startHost({ listen: `unix:${socket}` })
    tcp = (await startHost({ listen: 'inet' })).sendmailAddress
    spool = folder(tempDir('doctor-spool'), 0o700)
  })

  const filter = (equates: string, name = 'milterhost'): string => `INPUT_MAIL_FILTER(\`${name}', \`${equates}')dnl`
  const healthy = (): string => filter(`S=unix:${socket}, F=T, ${TIMES}`)

  const look = ({ mc, version, config, machine }: Partial<Fault>) =>
    examine(
      // Test folders lie in /tmp, which anyone may write to.
      { sendmail: sendmailFile([STICKY, ...(mc ?? [healthy()])], version) },
      { config: { listen: `unix:${socket}`, spool: { directory: spool }, ...config }, ...(machine && { machine }) },
    )

  it('finds nothing where all is well', async () => {
    const { findings, well } = await look({})
    expect(findings).toEqual([])
    expect(well.length).toBeGreaterThan(20)
  })

  const faults: [string, () => Fault][] = [
    [
      'milterhost is not named',
      () => ({ mc: [], codes: ['CHAIN_MISSING', 'CHAIN_SERVICE'], where: /sendmail\.cf$/, write: healthy() }),
    ],
    [
      'a filter that is defined and not used',
      () => ({
        mc: [healthy().replace('INPUT_MAIL', 'MAIL')],
        codes: ['CHAIN_MISSING', 'SENDMAIL_NOT_USED', 'CHAIN_SERVICE'],
        where: /sendmail\.cf:\d+$/,
        write: healthy(),
      }),
    ],
    [
      'a daemon with filters of its own',
      () => ({
        mc: [
          healthy(),
          "MAIL_FILTER(`other', `S=unix:/nowhere/other.sock, F=T')dnl",
          "DAEMON_OPTIONS(`Name=MTA, Port=25, InputMailFilters=other')dnl",
        ],
        codes: ['CHAIN_MISSING', 'CHAIN_NOBODY'],
        where: /sendmail\.cf:\d+$/,
        write: healthy(),
      }),
    ],
    [
      'no F=',
      () => ({
        mc: [filter(`S=unix:${socket}, ${TIMES}`)],
        codes: ['SENDMAIL_FLAG'],
        where: /sendmail\.cf:\d+$/,
        write: healthy(),
      }),
    ],
    [
      'F=R',
      () => ({
        mc: [filter(`S=unix:${socket}, F=R, ${TIMES}`)],
        codes: ['SENDMAIL_REJECT'],
        where: /sendmail\.cf:\d+$/,
        write: healthy(),
      }),
    ],
    [
      'times too short for the budget',
      () => ({
        config: { budget: { command: '135s' } },
        codes: ['SENDMAIL_TIMEOUT'],
        where: /sendmail\.cf:\d+$/,
        write: `INPUT_MAIL_FILTER(\`milterhost', \`S=unix:${socket}, F=T, T=C:30s;S:30s;R:140s;E:300s')dnl`,
      }),
    ],
    [
      'a short time at the end of the message',
      () => ({
        mc: [filter(`S=unix:${socket}, F=T, T=E:1m`)],
        codes: ['SENDMAIL_TIMEOUT'],
        where: /sendmail\.cf:\d+$/,
        write: /T=C:30s;S:30s;R:30s;E:300s'/,
      }),
    ],
    [
      'TCP',
      () => ({
        mc: [filter(`S=${tcp}, F=T, ${TIMES}`)],
        config: { listen: tcp },
        codes: ['SENDMAIL_TCP'],
        where: /sendmail\.cf:\d+$/,
        write: /^listen: 'unix:/,
      }),
    ],
    [
      'a numeric address in brackets',
      () => ({
        mc: [filter(`S=${tcp.replace('127.0.0.1', '[127.0.0.1]')}, F=T`)],
        config: { listen: tcp },
        codes: ['CHAIN_MISSING', 'SENDMAIL_BRACKETS', 'CHAIN_SERVICE'],
        where: /sendmail\.cf:\d+$/,
        write: `S=${tcp}`,
      }),
    ],
    [
      "an address in Postfix's spelling",
      () => ({
        mc: [filter(`S=${tcp.replace(/inet:(\d+)@(.*)/, 'inet:$2:$1')}, F=T`)],
        config: { listen: tcp },
        codes: ['CHAIN_MISSING', 'CHAIN_SPELLING', 'CHAIN_SERVICE'],
        where: /sendmail\.cf:\d+$/,
        write: `S=${tcp}`,
      }),
    ],
    [
      'a folder that its group may write to',
      () => {
        chmodSync(`${room}/milterhost`, 0o775)
        return { codes: ['SENDMAIL_UNSAFE_PATH'], where: `${room}/milterhost`, write: `chmod go-w ${room}/milterhost` }
      },
    ],
    [
      'a symbolic link in the path',
      () => {
        const link = `${room}/link${Math.random()}`
        symlinkSync(`${room}/milterhost`, link)
        return {
          mc: [filter(`S=unix:${link}/milterhost.sock, F=T, ${TIMES}`)],
          config: { listen: `unix:${link}/milterhost.sock` },
          codes: ['SENDMAIL_UNSAFE_PATH'],
          where: /sendmail\.cf:\d+$/,
          write: `S=unix:${room}/milterhost`,
        }
      },
    ],
    [
      'more processes than sessions',
      () => ({
        mc: ["define(`confMAX_DAEMON_CHILDREN', `4000')dnl", healthy()],
        codes: ['SENDMAIL_PROCESSES'],
        where: /limits\.sessions; .*sendmail\.cf:\d+$/,
        write: 'limits: { sessions: 5000 }',
      }),
    ],
    [
      'changed header lines',
      () => ({
        mc: [healthy(), 'LOCAL_CONFIG', 'HX-Site: example'],
        codes: ['SENDMAIL_HEADERS'],
        where: /sendmail\.cf$/,
        write: /^H lines/,
      }),
    ],
    [
      'an old Sendmail that does not tell what is needed',
      () => ({
        version: '8.13.8',
        codes: ['SENDMAIL_VERSION', 'SENDMAIL_MACROS'],
        where: /sendmail\.cf:\d+$/,
        write: /^define\(`confMILTER_MACROS_CONNECT', `j, .*\{daemon_port\}'\)dnl$/,
      }),
    ],
    [
      'milterhost is named twice',
      () => ({
        mc: [healthy(), filter(`S=local:${socket}, F=T, ${TIMES}`, 'again')],
        codes: ['CHAIN_TWICE'],
        where: /sendmail\.cf:\d+$/,
        write: 'O InputMailFilters=milterhost',
      }),
    ],
    [
      'another milter beside',
      () => ({
        mc: [healthy(), filter(`S=${tcp}, F=T`, 'scanner')],
        codes: ['CHAIN_BESIDE'],
        where: /sendmail\.cf:\d+$/,
        write: new RegExp(`^socket\\('scanner', '${tcp}'\\)`),
      }),
    ],
    [
      'the other MTA is said to ask',
      () => ({
        config: { mta: 'postfix' },
        codes: ['MTA_KIND'],
        where: 'milterhost.config.ts: mta',
        write: "mta: 'sendmail'",
      }),
    ],
  ]

  it.each(faults)('finds %s', async (_, plant) => {
    try {
      const fault = plant()
      const { findings } = await look(fault)
      expect(findings.map(({ code }) => code)).toEqual(fault.codes)
      const found = findings.filter(({ where, write }) => matches(where, fault.where) && matches(write, fault.write))
      expect(found.length, JSON.stringify(findings, null, 1)).toBeGreaterThan(0)
    } finally {
      chmodSync(`${room}/milterhost`, 0o755)
    }
  })

  it('says that a file is not there', async () => {
    await expect(examine({ sendmail: '/nowhere/sendmail.cf' }, {})).rejects.toMatchObject({ code: 'DOCTOR_SENDMAIL' })
  })
})

const matches = (text: string, pattern: string | RegExp): boolean =>
  typeof pattern === 'string' ? text === pattern : pattern.test(text)
