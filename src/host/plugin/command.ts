/**
 * The command that a plugin's package adds to `milterhost`, as data.
 *
 * Types only. The package exports it as `command` from its sub-path `./command`; `milterhost NAME …` imports
 * `milter-plugin-NAME/command` from the folder of the configuration, when it is asked for and not before. The command line
 * is read by `cli/plugin-command.ts`, so that every command has the same help, the same mistakes and the same exit codes.
 */
import type { MaybePromise } from '../filter.ts'
import type { Dns } from './services.ts'

/** What `milterhost NAME` can do. */
export interface PluginCommand {
  /** One line for `--help`. */
  readonly description: string
  /** By name: `keygen` is run by `milterhost NAME keygen`. */
  readonly subcommands: Readonly<Record<string, PluginSubcommand>>
}

export interface PluginSubcommand {
  /** One line for `--help`. */
  readonly description: string
  /** Operands as in a usage line: `'<domain> [selector]'`, the last may be `'<name...>'`. @default none */
  readonly operands?: string
  /**
   * What each option means, by its flags: `{ '--bits <number>': 'of an RSA key', '-n, --dry-run': 'only show it' }`. The host
   * adds `-c, --config` and `--help`.
   */
  readonly options?: Readonly<Record<string, string>>
  /** Whole command lines for `--help`. */
  readonly examples?: readonly string[]
  /**
   * Does it. An error with a `code` is told in one line, any other is a bug and keeps its stack; both end with 1.
   * @returns the exit code: 0 done (the default), 1 it did not work, 2 the command line is wrong
   */
  run(call: CommandCall): MaybePromise<0 | 1 | 2 | void>
}

/** One run of a command: what was typed, and what the host lends. */
export interface CommandCall {
  readonly operands: readonly string[]
  /** By long name in camel case (`dryRun`): the text given, or `true` for an option that takes none. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  /**
   * The entries of this plugin in the configuration, with their options as written there. Reads the configuration; rejects
   * as `milterhost check` would.
   */
  entries(): Promise<readonly ConfiguredPlugin[]>
  /** A line on standard output. Control characters are made visible; line feeds stay. */
  print(text: string): void
  /** A line on standard error. */
  complain(text: string): void
  /**
   * How far long work has come, in any unit; `total` is `null` when nobody knows. Shown on standard error when that is a terminal,
   * a few times a second at most, and nowhere else. Call it as often as you like.
   */
  progress(done: number, total: number | null): void
  readonly dns: Dns
  readonly clock: { now(): number }
}

export interface ConfiguredPlugin {
  /** The filter's name in this configuration. */
  readonly name: string
  /** As written: the plugin's schema has not read them yet. */
  readonly options: unknown
}
