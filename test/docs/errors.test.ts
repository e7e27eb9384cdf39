import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LAUNCHER_ERRORS } from '../../src/bridge/launch/launcher/frame.ts'
import { wireErrors } from '../../src/bridge/wire/error.ts'
import { errorCodes } from '../../src/host/errors.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')
const sections = page.split(/^### /m).slice(1)
const documented = sections.map(section => section.split('\n', 1)[0]!)
const codes = [...errorCodes(), ...Object.keys(wireErrors), ...LAUNCHER_ERRORS]

describe('docs/errors.md', () => {
  it('has each code of the tables once, and no other', () => {
    expect([...documented].sort()).toEqual([...codes].sort())
  })

  it('says something about each', () => {
    for (const section of sections) {
      const [code, ...text] = section.split('\n')
      expect(
        text
          .join(' ')
          .replace(/^## .*$/m, '')
          .trim().length,
        code,
      ).toBeGreaterThan(25)
    }
  })

  it('names only what the code can say', () => {
    const source = globSync('src/**/*.ts', { cwd: ROOT })
      .filter(file => !/errors\.ts$|wire\/error\.ts$/.test(file))
      .map(file => readFileSync(join(ROOT, file), 'utf8'))
      .join('\n')
    expect(codes.filter(code => !source.includes(`'${code}'`))).toEqual([])
  })
})
