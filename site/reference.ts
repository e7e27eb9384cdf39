/**
 * The reference of what others import, from the types and doc comments in `src/`: one page for each of the package's entry points.
 *
 * A comment that links to something that is not there, or describes a parameter that there is not, stops the build.
 */
import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Application, Comment, LogLevel } from 'typedoc'
import { introduction } from './introduction.ts'
import { REFERENCE } from './pages.ts'

const root = resolve(import.meta.dirname, '..')

/** @param folder is that of the pages @returns the pages written */
export async function reference(folder: string): Promise<number> {
  const out = join(folder, 'api')
  const app = await Application.bootstrapWithPlugins({
    // Options of the plugin for Markdown are not in the type.
    ...({
      hideBreadcrumbs: true,
      hidePageHeader: true,
      parametersFormat: 'table',
      interfacePropertiesFormat: 'table',
      typeAliasPropertiesFormat: 'table',
      typeDeclarationFormat: 'table',
      useHTMLEncodedBrackets: true,
      entryFileName: 'modules',
      // All is readonly; a column that says so in each row only takes the place of the others.
      tableColumnSettings: { hideModifiers: true },
    } as object),
    plugin: ['typedoc-plugin-markdown'],
    entryPoints: REFERENCE.map(({ source }) => join(root, source)),
    out,
    basePath: root,
    tsconfig: join(root, 'tsconfig.json'),
    // The compiler of the project has checked all of it.
    skipErrorChecking: true,
    excludeInternal: true,
    excludeNotDocumented: false,
    disableSources: true,
    readme: 'none',
    router: 'module',
    groupOrder: ['Functions', 'Variables', 'Interfaces', 'Type Aliases', '*'],
    treatWarningsAsErrors: true,
    validation: { notExported: false, invalidLink: true, notDocumented: false },
    logLevel: LogLevel.Warn,
  })
  const project = await app.convert()
  if (project === undefined) throw new Error('the reference could not be made; see above')
  for (const module of project.children ?? []) {
    const source = module.name === 'src' ? 'src/index.ts' : `${module.name}.ts`
    module.name = REFERENCE.find(page => page.source === source)!.title
    const said = introduction(join(root, source))
    // Where a module only hands on, what it says of itself would also be said of each name that says nothing.
    for (const { comment } of Object.values(project.reflections))
      if (comment !== undefined && Comment.combineDisplayParts(comment.summary) === said) comment.summary = []
    module.comment = new Comment([{ kind: 'text', text: said }])
  }
  app.validate(project)
  await app.generateOutputs(project)
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('the reference has errors; see above')
  // A list of the pages, which the sidebar is already.
  rmSync(join(out, 'modules.md'))
  return REFERENCE.length
}
