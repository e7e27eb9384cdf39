import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { locateConfig } from '../../../src/host/config/locate.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'milterhost-locate-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (path: string): string => {
  mkdirSync(join(folder, path, '..'), { recursive: true })
  writeFileSync(join(folder, path), '')
  return join(folder, path)
}
const at = (path: string): string => join(folder, path)

describe('the configuration file', () => {
  it('of the first folder wins', () => {
    const first = put('a/milterhost.config.mjs')
    put('b/milterhost.config.ts')
    expect(locateConfig(undefined, [at('a'), at('b')])).toBe(first)
  })

  it('of the second folder is taken when the first has none', () => {
    const second = put('b/milterhost.config.cts')
    expect(locateConfig(undefined, [at('a'), at('b')])).toBe(second)
  })

  it('with the ending .ts comes before the others in one folder', () => {
    put('milterhost.config.js')
    const ts = put('milterhost.config.ts')
    expect(locateConfig(undefined, [folder])).toBe(ts)
  })

  it('is null when there is none', () => {
    expect(locateConfig(undefined, [folder])).toBeNull()
  })

  it('may have any name when it is named', () => {
    put('milterhost.config.ts')
    const other = put('other.ts')
    expect(locateConfig(other, [folder])).toBe(other)
  })

  it('may be named by its folder', () => {
    const file = put('milterhost.config.ts')
    expect(locateConfig(folder, [])).toBe(file)
  })

  it('that was named and is not there is an error, whatever lies elsewhere', () => {
    put('milterhost.config.ts')
    expect(() => locateConfig(at('none.ts'), [folder])).toThrow(
      `no configuration at ${at('none.ts')}; name an existing file with --config`,
    )
  })
})
