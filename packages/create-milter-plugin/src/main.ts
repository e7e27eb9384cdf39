#!/usr/bin/env node
/**
 * `npm create milter-plugin@latest NAME`: reads the command line, asks for what is missing, writes the project, says what comes next.
 *
 * Exit codes: 0 done, 2 the command line or the place was wrong; one line says why, and then nothing was written.
 */
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CreateError, type Names, readHooks, readName, readOptions } from './choice.ts'
import { type Project, refuseUsed, writeProject } from './project.ts'
import { ask } from './questions.ts'

const HELP = `Usage: npm create milter-plugin@latest [NAME] -- [options]

Makes a folder milter-plugin-NAME with a plugin for milterhost that builds, tests and runs at once.
What is not given is asked for at a terminal.

  --hooks LIST         connect,helo,mail,rcpt,data,headers,body,end,settled; without it an example that tags large messages
  --option NAME:TYPE[=DEFAULT]
                       an option of the plugin; TYPE is string, number or boolean; may be repeated
  --directory FOLDER   where to write it, instead of milter-plugin-NAME
  --milterhost SPEC    the milterhost to try it with: a version or a tarball (default: ^0.1.0)
  -y, --yes            ask nothing
  -h, --help           this text

Examples:
  npm create milter-plugin@latest
  npm create milter-plugin@latest subject-tag -- --yes
  npm create milter-plugin@latest @example/limits -- --hooks mail,rcpt --option limit:number=10`

/** Beside dist/ in the package; where the sources themselves run, the place that it is copied from. */
const templateFolder = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../../../plugins/template/' : '../template/', import.meta.url),
  )

interface Surroundings {
  readonly folder: string
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream
  readonly errors: NodeJS.WritableStream
}

/** Returns the exit code. */
export async function main(argv: readonly string[], { folder, input, output, errors }: Surroundings): Promise<0 | 2> {
  const print = (text: string): void => void output.write(`${text}\n`)
  try {
    const { values, positionals } = commandLine(argv)
    if (values.help) {
      print(HELP)
      return 0
    }
    if (positionals.length > 1) throw new CreateError(`one name, not ${positionals.join(' ')}`)
    const [name] = positionals
    const given = {
      names: name === undefined ? null : readName(name),
      hooks: values.hooks === undefined ? null : readHooks(values.hooks),
      options: values.option === undefined ? null : readOptions(values.option.join(' ')),
    }
    const place = (names: Names): string => resolve(folder, values.directory ?? names.package.replace(/^.*\//, ''))
    // Before the questions: nobody wants to answer them for nothing.
    if (given.names !== null) refuseUsed(place(given.names))
    const silent = values.yes === true || input.isTTY !== true
    if (silent && given.names === null) throw new CreateError('a name is needed: npm create milter-plugin@latest NAME')
    const { names, hooks, options } = silent ? { ...given, names: given.names! } : await ask(given, input, output)
    const starter: Project['starter'] =
      hooks === null && options === null
        ? null
        : { hooks: hooks === null || hooks.length === 0 ? ['end'] : hooks, options: options ?? [] }
    const directory = place(names)
    const files = writeProject(
      { names, directory, starter, milterhost: values.milterhost ?? '^0.1.0' },
      templateFolder(),
    )
    print(`${names.package} is in ${directory}:\n${files.map(file => `  ${file}`).join('\n')}\n
Next:
  cd ${relative(folder, directory) || '.'}
  npm install
  npm test
  npm run dev
  npx milterhost run`)
    return 0
  } catch (error) {
    if (!(error instanceof CreateError)) throw error
    errors.write(`create-milter-plugin: ${error.message}\n`)
    return 2
  }
}

function commandLine(argv: readonly string[]): ReturnType<typeof parsed> {
  try {
    return parsed(argv)
  } catch (error) {
    throw new CreateError(`${(error as Error).message.replace(/\. To specify.*$/s, '')} (--help says what there is)`)
  }
}

const parsed = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      hooks: { type: 'string' },
      option: { type: 'string', multiple: true },
      directory: { type: 'string' },
      milterhost: { type: 'string' },
      yes: { type: 'boolean', short: 'y' },
      help: { type: 'boolean', short: 'h' },
    },
  })

if (import.meta.main)
  process.exitCode = await main(process.argv.slice(2), {
    folder: process.cwd(),
    input: process.stdin,
    output: process.stdout,
    errors: process.stderr,
  })
