/**
 * Writes the new project: the template under its new name, or with other hooks and options in it, and a configuration to try it with.
 *
 * What holds: nothing is written into a folder that has something in it, and no file is ever overwritten. Called by the command line
 * and by the tests.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CreateError, type Hook, type Names, type Option } from './choice.ts'
import { callArguments, readmeText, scenarioTestText, scenarioText, sourceText, testText } from './starter.ts'

export interface Project {
  readonly names: Names
  readonly directory: string
  /** `null`: the example of the template, which tags large messages. */
  readonly starter: { readonly hooks: readonly Hook[]; readonly options: readonly Option[] } | null
  /** What npm is told to install as milterhost: a range of versions, or a tarball. */
  readonly milterhost: string
}

const BIOME = '2.6.8'

/** Of the template, besides what is written for every project; into files of the plugin's own name. */
const COPIED = [
  'milterhost.config.ts',
  'src/index.ts',
  'test/template.test.ts',
  'test/scenario.test.ts',
  'test/template.scenario',
]

/** `template`: the folder of the template, as it is kept or as it is packed. Returns the names of the files written, sorted. */
export function writeProject(project: Project, template: string): readonly string[] {
  const { directory, names, starter } = project
  refuseUsed(directory)
  const read = (file: string): string => readFileSync(join(template, file), 'utf8')
  const files: Record<string, string> = {
    'package.json': manifestText(
      project,
      read(existsSync(join(template, 'manifest.json')) ? 'manifest.json' : 'package.json'),
    ),
    'tsconfig.json': withoutPaths(read('tsconfig.json')),
    'tsconfig.build.json': read('tsconfig.build.json'),
    'biome.json': BIOME_SETTINGS,
    '.gitignore': 'node_modules/\ndist/\n*.tgz\n',
  }
  if (starter === null) {
    files['README.md'] = renamed(read('README.md').replace(/\n## Start your own[\s\S]*$/, ''), names)
    for (const file of COPIED) files[file.replace('template', names.plugin)] = renamed(read(file), names)
  } else {
    const { hooks, options } = starter
    files['README.md'] = readmeText(names, options)
    files['milterhost.config.ts'] = configText(options)
    files['src/index.ts'] = sourceText(names, hooks, options)
    files[`test/${names.plugin}.test.ts`] = testText(options)
    files['test/scenario.test.ts'] = scenarioTestText(names)
    files[`test/${names.plugin}.scenario`] = scenarioText(names, hooks)
  }
  for (const [file, text] of Object.entries(files)) {
    const path = join(directory, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text, { flag: 'wx' })
  }
  return Object.keys(files).sort()
}

/** Throws when something is there already; a folder with nothing in it is fine. */
export function refuseUsed(directory: string): void {
  let there: readonly string[]
  try {
    there = readdirSync(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    if (code === 'ENOTDIR') throw new CreateError(`${directory} is no folder; choose another with --directory`)
    throw new CreateError(`${directory} cannot be read: ${(error as Error).message}`)
  }
  if (there.length > 0)
    throw new CreateError(`the folder ${directory} is not empty; choose another with --directory, nothing was written`)
}

/** The template's own names, wherever they stand. */
const renamed = (text: string, { package: name, plugin }: Names): string =>
  text
    .replaceAll('milter-plugin-template', name)
    .replaceAll('milterhost_template_', `milterhost_${plugin.replaceAll(/[^a-z0-9_]/g, '_')}_`)
    .replaceAll('TemplateOptions', 'Options')
    .replaceAll("'template'", `'${plugin}'`)
    .replaceAll('template.scenario', `${plugin}.scenario`)
    .replaceAll(/\btemplate\b/g, 'plugin')

interface Manifest {
  name: string
  description: string
  milterhost: { hooks: readonly string[] }
  scripts: Record<string, string>
  dependencies?: Record<string, string>
  devDependencies: Record<string, string>
}

function manifestText({ names, starter, milterhost }: Project, template: string): string {
  const { peerDependenciesMeta: _, ...manifest } = JSON.parse(template) as Manifest & { peerDependenciesMeta: unknown }
  manifest.name = names.package
  if (starter !== null) manifest.description = `The plugin ${names.plugin} for milterhost`
  if (starter !== null) manifest.milterhost = { hooks: starter.hooks }
  if (starter?.options.length === 0) delete manifest.dependencies
  const { build, prepack, ...scripts } = manifest.scripts
  manifest.scripts = { build: build!, ...scripts, lint: 'biome lint --error-on-warnings', prepack: prepack! }
  manifest.devDependencies = { '@biomejs/biome': BIOME, ...manifest.devDependencies, milterhost }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

/** They lead to the checkout that the template comes from. */
function withoutPaths(text: string): string {
  const settings = JSON.parse(text) as { compilerOptions: { paths?: unknown } }
  delete settings.compilerOptions.paths
  return `${JSON.stringify(settings, null, 2)}\n`
}

const BIOME_SETTINGS = `${JSON.stringify(
  {
    files: { includes: ['**', '!**/dist'] },
    formatter: { enabled: false },
    linter: { enabled: true, rules: { preset: 'recommended' } },
  },
  null,
  2,
)}\n`

const configText = (
  options: readonly Option[],
): string => `// To try the plugin: npx milterhost run prints the lines that go into the settings of the MTA.
import { defineConfig } from 'milterhost'
import plugin from './src/index.ts'

export default defineConfig({
  listen: 'inet:10025@127.0.0.1',
  filters: [plugin(${callArguments(options)})],
})
`
