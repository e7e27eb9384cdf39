/** What is made of which command line, and what is refused. That it installs, builds and runs is tested with the packed package. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { main } from '../src/main.ts'

interface Made {
  readonly code: number
  readonly folder: string
  readonly out: string
  readonly err: string
  text(file: string): string
}

const emptyFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-create-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** `answers`: a terminal at which somebody types them, each when something new was asked. */
async function create(argv: readonly string[], folder = emptyFolder(), answers: readonly string[] = []): Promise<Made> {
  const input = Object.assign(new PassThrough(), { isTTY: answers.length > 0 })
  const waiting = [...answers]
  let out = ''
  let err = ''
  const output = new PassThrough().setEncoding('utf8').on('data', (text: string) => {
    out += text
    if (!text.endsWith(': ')) return
    const answer = waiting.shift()
    if (answer === undefined) input.end()
    else input.write(`${answer}\n`)
  })
  const errors = new PassThrough().setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const code = await main(argv, { folder, input, output, errors })
  await new Promise(done => setImmediate(done))
  return { code, folder, out, err, text: file => readFileSync(join(folder, file), 'utf8') }
}

const FILES = [
  '.gitignore',
  'README.md',
  'biome.json',
  'milterhost.config.ts',
  'package.json',
  'src/index.ts',
  'test/scenario.test.ts',
  'test/subject-tag.scenario',
  'test/subject-tag.test.ts',
  'tsconfig.build.json',
  'tsconfig.json',
]

test('a name alone makes the template under that name, and says what comes next', async () => {
  const { code, folder, out, text } = await create(['subject-tag', '--yes'])
  expect(code).toBe(0)
  const made = readdirSync(join(folder, 'milter-plugin-subject-tag'), { recursive: true, withFileTypes: true })
  const names = made.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  expect(names.map(name => name.slice(folder.length + 27)).sort()).toEqual(FILES)
  expect(out).toContain('cd milter-plugin-subject-tag\n  npm install\n  npm test\n  npm run dev\n  npx milterhost run')
  for (const file of FILES) expect(text(`milter-plugin-subject-tag/${file}`), file).not.toMatch(/template|\.\.\/dist/i)
  expect(JSON.parse(text('milter-plugin-subject-tag/package.json'))).toMatchObject({
    name: 'milter-plugin-subject-tag',
    keywords: expect.arrayContaining(['milter-plugin']),
    peerDependencies: { milterhost: '^0.1.0' },
    dependencies: { zod: expect.any(String) },
    devDependencies: { milterhost: '^0.1.0' },
    scripts: { dev: 'milterhost dev' },
  })
  expect(text('milter-plugin-subject-tag/milterhost.config.ts')).toContain('filters: [plugin({ size: 1_000 })]')
  expect(text('milter-plugin-subject-tag/src/index.ts')).toContain("name: 'subject-tag'")
  expect(text('milter-plugin-subject-tag/test/subject-tag.test.ts')).toContain('milterhost_subject_tag_tagged_total')
})

test('hooks and options make a starter with those and no others, in the order of a conversation', async () => {
  const { text } = await create([
    '@example/milter-plugin-limits',
    '--hooks=rcpt,mail',
    '--option',
    'limit:number=10',
    '--option',
    "word=it's",
    '--option',
    'strict:boolean',
    '--directory',
    'here',
    '--milterhost',
    'file:../m.tgz',
  ])
  const source = text('here/src/index.ts')
  expect(source.match(/^ {6}(\w+)\(event\)/gm)).toEqual(['      mail(event)', '      rcpt(event)'])
  expect(source).toContain('limit: z.number().default(10),')
  expect(source).toContain("word: z.string().default('it\\'s'),")
  expect(source).toContain('strict: z.boolean(),')
  expect(source).toContain('readonly strict: boolean')
  expect(text('here/milterhost.config.ts')).toContain('filters: [plugin({ strict: true })]')
  expect(JSON.parse(text('here/package.json'))).toMatchObject({
    name: '@example/milter-plugin-limits',
    devDependencies: { milterhost: 'file:../m.tgz' },
  })
})

test('a plugin without options needs no zod', async () => {
  const { text } = await create(['quiet', '--hooks', 'settled'])
  expect(JSON.parse(text('milter-plugin-quiet/package.json'))).not.toHaveProperty('dependencies')
  expect(text('milter-plugin-quiet/src/index.ts')).not.toContain('zod')
})

test('at a terminal what is missing is asked for, again where the answer is of no use', async () => {
  const { code, out, text } = await create([], undefined, [
    'No Name',
    'tag',
    'rcptt',
    'end',
    'limit:numbr',
    'limit:number',
  ])
  expect(code).toBe(0)
  expect(out).toContain('"No Name" is no name for a package')
  expect(out).toContain('there is no hook "rcptt"')
  expect(out).toContain('the option limit cannot be a numbr')
  expect(text('milter-plugin-tag/src/index.ts')).toContain('limit: z.number()')
})

test('no hooks at the terminal is the example, and no question about options', async () => {
  const { out, text } = await create(['tag'], undefined, [''])
  expect(out).not.toContain('Options, such as')
  expect(text('milter-plugin-tag/src/index.ts')).toContain('header: z\n')
})

test('a terminal that goes away leaves nothing behind', async () => {
  const { code, err, folder } = await create([], undefined, ['tag'])
  expect({ code, err }).toEqual({ code: 2, err: 'create-milter-plugin: nothing was written\n' })
  expect(readdirSync(folder)).toEqual([])
})

test('a folder with something in it is left alone, an empty one is used', async () => {
  const folder = emptyFolder()
  mkdirSync(join(folder, 'full'))
  writeFileSync(join(folder, 'full/notes'), 'mine')
  mkdirSync(join(folder, 'empty'))
  expect(await create(['tag', '--directory', 'full'], folder)).toMatchObject({
    code: 2,
    err: expect.stringContaining('is not empty; choose another with --directory'),
  })
  expect(readdirSync(join(folder, 'full'))).toEqual(['notes'])
  expect(await create(['tag', '--directory', 'full/notes'], folder)).toMatchObject({
    code: 2,
    err: expect.stringContaining('is no folder'),
  })
  expect(await create(['tag', '--directory', 'empty'], folder)).toMatchObject({ code: 0 })
  expect(existsSync(join(folder, 'empty/package.json'))).toBe(true)
})

test.each<[argv: string[], told: string]>([
  [[], 'a name is needed'],
  [['Tag'], '"Tag" is no name for a package'],
  [['../tag'], 'is no name for a package'],
  [['@a/b/c'], 'is no name for a package'],
  [['milter-plugin-'], 'is no name for a package'],
  [['a', 'b'], 'one name, not a b'],
  [['a', '--hooks', 'header'], 'there is no hook "header"; there are connect, helo'],
  [['a', '--option', 'a-b'], '"a-b" is no option: write name:type'],
  [['a', '--option', 'a:int'], 'the option a cannot be a int'],
  [['a', '--option', 'a:number=x'], 'the default of the option a must be a number, not "x"'],
  [['a', '--option', 'a:boolean=1'], 'must be a boolean'],
  [['a', '--option', 'a', '--option', 'a:number'], 'the option a is there twice'],
  [['a', '--hook', 'end'], "Unknown option '--hook'"],
])('%j is refused in one line, and nothing is written', async (argv, told) => {
  const { code, err, out, folder } = await create([...argv, '--yes'])
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toContain(told)
  expect(err.trimEnd()).not.toContain('\n')
  expect(readdirSync(folder)).toEqual([])
})

test('--help says all that can be said', async () => {
  const { code, out } = await create(['--help'])
  expect(code).toBe(0)
  for (const flag of ['--hooks', '--option', '--directory', '--milterhost', '--yes']) expect(out).toContain(flag)
})
