/**
 * `milterhost dev`: for the author of a plugin. Plays its scenario files and shows what happened, again at every save.
 *
 * This process only watches and waits. Each round runs in another one, which loads everything afresh and is ended when something is
 * saved meanwhile; types are checked after it, by the compiler of the author's project. No key is read: Ctrl-C ends it.
 */
import { Command, Option } from 'commander'
import { hostError } from '../host/errors.ts'
import { EXIT, EXIT_HELP, type ExitCode, print } from './console.ts'
import { roundProcess, typeChecker, typeErrors } from './dev/processes.ts'
import { playRound } from './dev/round.ts'
import { findSubject, SCENARIO_PATTERNS, type Subject, shortPath } from './dev/subject.ts'
import { bad, faint } from './dev/trace.ts'
import { ChangeWatcher } from './dev/watch.ts'

/** Seconds that a round may take. */
const LIMIT = 60
/** Milliseconds by which the times of files may be behind the clock. */
const TICK = 20
/** Lines of the type checker that are shown. */
const MOST_LINES = 20

interface DevOptions {
  readonly scenarios?: readonly string[]
  readonly once?: true
  readonly failed?: true
  readonly types: boolean
  readonly round?: true
}

export const devCommand = (done: (code: ExitCode) => void): Command =>
  new Command('dev')
    .description('try a plugin while it is written: play its scenario files at every save, and show what happened')
    .argument('[plugin]', 'file of the plugin or a configuration, or a folder (default: the one you are in)')
    .option(
      '-s, --scenarios <file...>',
      `scenario files, folders or patterns (default: ${SCENARIO_PATTERNS.join(', ')})`,
    )
    .option('--once', 'play once and end, with 1 when something failed')
    .option('--failed', 'show the trace of scenarios that failed only')
    .option('--no-types', "leave the project's types unchecked")
    .addOption(new Option('--round', 'this is the process that plays').hideHelp())
    .addHelpText(
      'after',
      `
In a folder it takes milterhost.config.ts, or else src/index.ts, index.ts or plugin.ts. The file exports a plugin, which is then tried without
options, or an entry such as plugin({ … }), a list of entries, or a configuration.

Examples:
  milterhost dev
  milterhost dev src/index.ts --scenarios 'test/*.scenario'
  milterhost dev --once --failed
${EXIT_HELP}`,
    )
    .action(async (target: string | undefined, options: DevOptions) => done(await dev(target, options)))

async function dev(target: string | undefined, options: DevOptions): Promise<ExitCode> {
  const subject = findSubject(target)
  if (options.round) {
    // Whoever watches has gone, and nobody waits for this any more.
    process.once('disconnect', () => process.exit(EXIT.failed))
    return playRound(subject, { scenarios: options.scenarios, failedOnly: options.failed === true })
  }
  const interrupted = new Promise<'interrupted'>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve('interrupted'))
  })
  const stop = new AbortController()
  if (options.once) {
    const playing = round(subject, target, options, stop.signal, () => {})
    const ended = await Promise.race([playing, interrupted])
    stop.abort()
    // Nothing is left behind.
    await playing
    return ended === 'interrupted' ? EXIT.ok : ended
  }
  const watcher = new ChangeWatcher(subject.folder)
  try {
    await again(subject, target, options, watcher, interrupted)
    return EXIT.ok
  } finally {
    watcher.close()
  }
}

/** Round after round, until it is interrupted. */
async function again(
  subject: Subject,
  target: string | undefined,
  options: DevOptions,
  watcher: ChangeWatcher,
  interrupted: Promise<'interrupted'>,
): Promise<void> {
  for (;;) {
    const stop = new AbortController()
    const changed = watcher.next()
    const began = Date.now()
    const read = (files: readonly string[]): void => watcher.watch(files, began - TICK)
    const playing = round(subject, target, options, stop.signal, read).then(() => {
      if (!stop.signal.aborted) print(faint('Waiting for a change; Ctrl-C ends.'))
    })
    const next = await Promise.race([changed, interrupted, playing.then(() => Promise.race([changed, interrupted]))])
    stop.abort()
    // Nothing is left behind.
    await playing
    if (next === 'interrupted') return
    const names = next.map(shortPath)
    const more = names.length > 3 ? `, and ${names.length - 3} more` : ''
    print(`\n${faint(new Date().toTimeString().slice(0, 8))}  ${names.slice(0, 3).join(', ')}${more}`)
  }
}

async function round(
  subject: Subject,
  target: string | undefined,
  { scenarios = [], failed, types }: DevOptions,
  signal: AbortSignal,
  read: (files: readonly string[]) => void,
): Promise<ExitCode> {
  const args = [
    ...(target === undefined ? [] : [target]),
    '--round',
    ...(failed ? ['--failed'] : []),
    ...scenarios.flatMap(pattern => ['--scenarios', pattern]),
  ]
  const ended = await roundProcess(args, LIMIT * 1000, signal, read)
  if (ended === 'stuck') print(`${bad('✗')}  ${hostError('DEV_STUCK', LIMIT).message}`)
  const compiler = types && ended !== 'stopped' ? typeChecker(subject.folder) : null
  if (compiler === null) return ended === EXIT.ok ? EXIT.ok : EXIT.failed
  const errors = await typeErrors(compiler, subject.folder, LIMIT * 1000, signal)
  if (errors === null || errors.length === 0) return ended === EXIT.ok ? EXIT.ok : EXIT.failed
  print(`${bad('✗')}  types:`)
  for (const line of errors.slice(0, MOST_LINES)) print(`     ${line}`)
  if (errors.length > MOST_LINES) print(`     and ${errors.length - MOST_LINES} lines more`)
  return EXIT.failed
}
