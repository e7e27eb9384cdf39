import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { milterhost, place } from './support.ts'

describe('milterhost import milter-manager', () => {
  it('prints the configuration, and beside it what it could not take over', () => {
    const { path, file } = place()
    file('m.conf', 'manager.connection_spec = "inet:10025@[127.0.0.1]"\nmanager.daemon = true\n')
    const { code, out, err } = milterhost(['import', 'milter-manager', 'm.conf'], { cwd: path })
    expect(code).toBe(0)
    expect(out).toContain("  listen: 'inet:10025@[127.0.0.1]',")
    expect(err).toMatch(/^m\.conf:2: manager\.daemon = true: milterhost stays in the foreground/)
  })

  it('writes a file that milterhost check takes, and does not write over one', () => {
    const { path, file } = place()
    file('m.conf', 'define_milter("a") do |m|\n  m.connection_spec = "inet:1@127.0.0.1"\n  m.enabled = false\nend\n')
    const convert = ['import', 'milter-manager', 'm.conf', '-o', 'milterhost.config.ts']
    expect(milterhost(convert, { cwd: path }).code).toBe(0)
    expect(milterhost(['check'], { cwd: path })).toMatchObject({ code: 0 })
    const again = milterhost(convert, { cwd: path })
    expect(again).toMatchObject({ code: 2, err: expect.stringContaining('--force replaces it') })
    file('m.conf', '')
    expect(milterhost([...convert, '--force'], { cwd: path }).code).toBe(0)
    expect(readFileSync(join(path, 'milterhost.config.ts'), 'utf8')).toContain('filters: []')
  })

  it('says where a file is broken, and writes nothing', () => {
    const { path, file } = place()
    file('m.conf', 'load_default\ndefine_milter("a") do |m|\n')
    const { code, out, err } = milterhost(['import', 'milter-manager', 'm.conf'], { cwd: path })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('m.conf:2: what begins here is not closed with end')
  })
})
