/**
 * The commands of this package: `milterhost dkim …` for keys, `milterhost dmarc …` for reports.
 */
/// <reference path="./mailauth.d.ts" />
import type { PluginCommand } from 'milterhost/plugin'
import { check, keygen, txt } from './commands/keys.ts'
import { report } from './commands/report.ts'

export const command: PluginCommand = {
  description: 'keys for signing: make them, print their DNS records, check these',
  subcommands: { keygen, txt, check },
}

/** Further commands by name; `milterhost dmarc` is one of this package. */
export const commands: Readonly<Record<string, PluginCommand>> = {
  dmarc: { description: 'aggregate reports about what was seen', subcommands: { report } },
}
