/**
 * The command of this package, `milterhost greylist …`: looks into the store of a running daemon and changes it.
 */
import type { PluginCommand } from 'milterhost/plugin'
import { forget, pass, trap } from './commands/change.ts'
import { check } from './commands/check.ts'
import { exportMarks } from './commands/export.ts'
import { importMarks } from './commands/import.ts'
import { list, stats } from './commands/inspect.ts'

export const command: PluginCommand = {
  description: 'the greylist: what it knows, why it answers as it does, and what it is to know',
  subcommands: { stats, list, check, pass, forget, trap, export: exportMarks, import: importMarks },
}
