/**
 * `milterhost liveness-agent`: runs beside an MTA on another machine, or in another container, and tells a milterhost elsewhere which
 * SMTP clients are still there. In the foreground until SIGTERM or SIGINT.
 */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { serveAgent } from '../bridge/mta/liveness/agent-server.ts'
import { procTable } from '../bridge/mta/liveness/proc.ts'
import { DEFAULT_SOCKET_MODE } from '../host/config/schema.ts'
import { hostError } from '../host/errors.ts'
import { chooseFormat, createLog } from '../host/observe/output.ts'
import { systemClock } from '../host/time/clock.ts'
import { complain, EXIT, EXIT_HELP, type ExitCode, print } from './console.ts'

interface AgentCommandOptions {
  readonly listen: string
  readonly tokenFile: string
  readonly cert?: string
  readonly key?: string
  readonly group?: string
}

/** Shorter ones can be tried out. */
const SHORTEST_TOKEN = 16

export const livenessAgentCommand = (done: (code: ExitCode) => void): Command =>
  new Command('liveness-agent')
    .description('tell a milterhost on another machine which SMTP clients are still there')
    .requiredOption('--listen <address>', 'unix:/path, or inet:PORT@HOST with --cert and --key')
    .requiredOption(
      '--token-file <file>',
      `a file with the secret that clients must know, ${SHORTEST_TOKEN} characters or more`,
    )
    .option('--cert <file>', 'certificate for TLS, PEM')
    .option('--key <file>', 'its key, PEM')
    .option('--group <group>', 'of the UNIX socket')
    .addHelpText(
      'after',
      `
Examples:
  milterhost liveness-agent --listen unix:/run/milterhost/liveness.sock --token-file /etc/milterhost/token
  milterhost liveness-agent --listen inet:9725@0.0.0.0 --cert mx1.pem --key mx1.key --token-file /etc/milterhost/token
${EXIT_HELP}`,
    )
    .action(async (options: AgentCommandOptions) => done(await run(options)))

async function run({ listen, tokenFile, cert, key, group }: AgentCommandOptions): Promise<ExitCode> {
  const token = read(tokenFile).toString('utf8').trim()
  if (token.length < SHORTEST_TOKEN)
    throw hostError('AGENT_OPTIONS', `the token in ${tokenFile} has less than ${SHORTEST_TOKEN} characters`)
  const tls = cert === undefined || key === undefined ? null : { cert: read(cert), key: read(key) }
  const unix = /^(?:unix:|local:|\/)/.test(listen)
  if (!unix && tls === null)
    throw hostError('AGENT_OPTIONS', `${listen} is TCP, which is served with --cert and --key only`)
  const log = createLog({
    clock: systemClock,
    level: 'info',
    format: chooseFormat('auto', process.stderr.isTTY ?? false, process.env),
    write: line => complain(line.slice(0, -1)),
  })
  const server = await serveAgent({
    listen: { address: listen, mode: DEFAULT_SOCKET_MODE, group: group ?? null },
    token,
    tls: unix ? null : tls,
    source: procTable().open({ clock: systemClock, log }),
    clock: systemClock,
    log,
  })
  print(`liveness agent ${process.pid} listens on ${server.port === null ? listen : `port ${server.port}`}`)
  await new Promise<void>(resolve => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
  await server.close()
  return EXIT.ok
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw hostError('AGENT_OPTIONS', error instanceof Error ? error.message : String(error))
  }
}
