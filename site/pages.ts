/**
 * Every page of the site: from which file of the repository it comes, where it stands, and in which section of the sidebar.
 *
 * The one list: the build copies what is here, the sidebar shows it, and `test/docs/sidebar.test.ts` fails when a page of the
 * repository is missing. A new page is one line in its section.
 */

export interface Page {
  /** Below the repository. A file that is not Markdown becomes a page that shows it. */
  readonly source: string
  /** On the site, without an ending; a folder's own page ends with `index`. */
  readonly path: string
  /** In the sidebar. */
  readonly title: string
}

export interface Section {
  readonly title: string
  /** In the sidebar only its title is shown until it is opened, or one of its pages is. */
  readonly collapsed?: true
  readonly pages: readonly Page[]
}

const doc = (name: string, title: string): Page => ({ source: `docs/${name}.md`, path: name, title })
const plugin = (name: string): Page => ({ source: `plugins/${name}/README.md`, path: `plugins/${name}`, title: name })
const example = (name: string): Page => ({
  source: `examples/${name}/plugin.ts`,
  path: `examples/${name}`,
  title: name,
})
/** Written by `reference.ts` from the doc comments of `src/NAME.ts`. */
const reference = (entry: string): Page => ({
  source: `src/${entry}.ts`,
  path: entry === 'index' ? 'api/milterhost' : `api/milterhost/${entry}`,
  title: entry === 'index' ? 'milterhost' : `milterhost/${entry}`,
})

/** What others import: the pages of the reference. */
export const REFERENCE: readonly Page[] = ['index', 'plugin', 'conditions', 'lookups', 'serve', 'testing'].map(
  reference,
)

export const SECTIONS: readonly Section[] = [
  {
    title: 'Begin',
    pages: [
      doc('introduction', 'Introduction'),
      doc('quick-start-postfix', 'Quick start: Postfix'),
      doc('quick-start-sendmail', 'Quick start: Sendmail'),
      doc('concepts', 'Concepts'),
      doc('migrating', 'From milter manager'),
    ],
  },
  {
    title: 'Configure',
    pages: [
      doc('configuration', 'Configuration'),
      doc('conditions', 'Conditions, users, policy'),
      doc('lookups', 'Look-ups'),
      doc('recipes', 'Recipes'),
      doc('detection', 'Milters of this machine'),
      doc('launching', 'Starting external milters'),
      { source: 'src/defaults/config.ts', path: 'default-configuration', title: 'The default configuration' },
    ],
  },
  {
    title: 'Plugins',
    pages: [
      ...['spf', 'dkim', 'greylist', 'tarpit', 'template'].map(plugin),
      doc('authentication-results', 'Authentication-Results'),
    ],
  },
  {
    title: 'Operate',
    pages: [
      doc('installing', 'Installing'),
      doc('operating', 'Operating'),
      doc('replay', 'Record and replay'),
      doc('doctor', 'Doctor'),
      doc('health', 'Health'),
      doc('security', 'Security model'),
      doc('errors', 'Errors'),
      doc('postfix', 'Postfix'),
      doc('sendmail', 'Sendmail'),
      doc('mta-differences', 'How MTAs differ'),
    ],
  },
  {
    title: 'Write a plugin',
    pages: [
      doc('writing-a-plugin', 'Writing a plugin'),
      doc('testing', 'Testing a plugin'),
      doc('publishing-a-plugin', 'Starting and publishing'),
      doc('plugin-commands', 'Commands of plugins'),
      {
        source: 'packages/create-milter-plugin/README.md',
        path: 'create-milter-plugin',
        title: 'create-milter-plugin',
      },
    ],
  },
  {
    title: 'Examples',
    collapsed: true,
    pages: [
      { source: 'examples/README.md', path: 'examples/index', title: 'Examples' },
      ...['subject-tag', 'attachment-blocker', 'bcc-archive', 'header-routing', 'rate-limit', 'language-model'].map(
        example,
      ),
    ],
  },
  { title: 'API', collapsed: true, pages: REFERENCE },
  {
    title: 'The project',
    collapsed: true,
    pages: [
      { source: 'CHANGELOG.md', path: 'changes', title: 'Changes' },
      { source: 'CONTRIBUTING.md', path: 'contributing', title: 'Contributing' },
      { source: 'bench/README.md', path: 'benchmarks', title: 'Benchmarks' },
      { source: 'LICENSE', path: 'licence', title: 'Licence' },
      { source: 'README.ja.md', path: 'ja/index', title: '日本語' },
    ],
  },
]

/** Where the English README would stand there is the home page. */
export const HOME: Page = { source: 'README.md', path: 'index', title: 'milterhost' }

export const PAGES: readonly Page[] = SECTIONS.flatMap(({ pages }) => pages)

/** As a link says it. */
export const linkTo = ({ path }: Page): string => `/${path.replace(/(^|\/)index$/, '$1')}`
