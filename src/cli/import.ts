/**
 * `milterhost import`: a configuration of another program as one of ours, and what of it could not be taken over.
 */
import { Command } from 'commander'
import { importMilterManager, type Written } from '../bridge/import/index.ts'
import { harmless } from '../host/observe/safe.ts'
import { complain, EXIT, EXIT_HELP, type ExitCode, print } from './console.ts'
import { writeOutput } from './output-file.ts'

interface ImportOptions {
  readonly output?: string
  readonly force?: true
}

export const importCommand = (done: (code: ExitCode) => void): Command =>
  new Command('import').description("turn another program's configuration into one of milterhost").addCommand(
    new Command('milter-manager')
      .description('convert a milter-manager.conf; nothing of it is executed')
      .argument('<file>', 'the configuration, or what milter-manager --show-config printed')
      .option('-o, --output <file>', 'write there instead of to standard output')
      .option('--force', 'replace a file that is there')
      .addHelpText(
        'after',
        `
What could not be taken over is listed on standard error, and stands as comments in the result.

Examples:
  milterhost import milter-manager /etc/milter-manager/milter-manager.conf
  milterhost import milter-manager /etc/milter-manager/milter-manager.conf -o /etc/milterhost/milterhost.config.ts
${EXIT_HELP}`,
      )
      .action((file: string, options: ImportOptions) => done(convert(file, options))),
  )

function convert(file: string, { output, force }: ImportOptions): ExitCode {
  const { text, notes }: Written = importMilterManager(file)
  if (output === undefined) print(text.trimEnd())
  else writeOutput(output, text, force === true)
  for (const { file: at, line, text: written, why } of notes)
    complain(`${at}:${line}: ${harmless(`${written}: ${why}`)}`)
  if (output !== undefined)
    complain(`${output} written${notes.length > 0 ? `; ${notes.length} not taken over, or with a difference` : ''}`)
  return EXIT.ok
}
