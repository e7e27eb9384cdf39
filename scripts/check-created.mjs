// The first page of an author, done: the commands of docs/publishing-a-plugin.md as they stand there, in an empty folder, with the
// packed packages; then a message through real Postfix with the new plugin. Called by check-packages.mjs.
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { cleanUp } from '../test/interop/harness/cleanup.ts'
import { startPostfix } from '../test/interop/harness/postfix.ts'
import { smtp } from '../test/interop/harness/smtp.ts'
import { serveTarballs } from './registry.mjs'

const root = resolve(import.meta.dirname, '..')
/** Of machine time, seconds: what the page promises. */
const LIMIT = 180
const HOOKS = 'connect,helo,mail,rcpt,data,headers,body,end,settled'

/** `work`: a folder that is removed afterwards. Rejects with what went wrong. */
export async function checkCreated(tarballs, work, upstream) {
  const page = readFileSync(join(root, 'docs/publishing-a-plugin.md'), 'utf8')
  const commands = /^## Begin\n+```sh\n([\s\S]*?)^```/m.exec(page)[1].trim().split('\n')
  const daemonCommand = commands.pop()
  if (daemonCommand !== 'npx milterhost run') throw new Error(`the page ends with ${daemonCommand}`)

  const registry = await serveTarballs(tarballs, upstream)
  const env = {
    ...process.env,
    npm_config_registry: registry.url,
    // What an earlier run of this check downloaded of these very versions must not be taken again.
    npm_config_cache: join(work, 'npm-cache'),
    // npm's question whether to fetch create-milter-plugin, which a person answers.
    npm_config_yes: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    RUNTIME_DIRECTORY: work,
    STATE_DIRECTORY: work,
  }
  let folder = join(work, 'author')
  mkdirSync(folder)
  const began = performance.now()
  let used = 0
  let daemon
  try {
    for (const command of commands) {
      console.log(`$ ${command}`)
      if (command.startsWith('cd ')) folder = join(folder, command.slice(3))
      else used += await ends(shell(command, folder, env), command)
    }
    await everyScript(folder, env)
    console.log(`$ ${daemonCommand}`)
    daemon = shell(daemonCommand, folder, env)
    await says(daemon, /smtpd_milters/)
    await says(daemon, /listens on/)
    await throughPostfix()
    const seconds = (performance.now() - began) / 1000
    const times = `${used.toFixed(0)} s of a processor, ${seconds.toFixed(0)} s on the clock`
    console.log(`from an empty folder to a message through Postfix: ${times}`)
    // A busy machine or a slow registry is no fault of ours.
    if (used > LIMIT) throw new Error(`it took more than ${LIMIT} s of a processor`)
    await withEveryHook(folder, env)
  } finally {
    // Of its own group: npx has started the daemon, and a signal to npx alone would leave it behind.
    if (daemon !== undefined && daemon.exitCode === null) {
      process.kill(-daemon.pid, 'SIGTERM')
      await daemon.ended
    }
    await cleanUp()
    registry.close()
  }
}

/** The other kind of project, with all hooks and kinds of options, is as sound; it borrows what the first one has installed. */
async function withEveryHook(first, env) {
  const options = ['limit:number=10', 'word:string', "greeting=it's", 'strict:boolean=false']
  const flags = `--hooks ${HOOKS} ${options.map(option => `--option "${option}"`).join(' ')}`
  await ends(
    shell(`npm create milter-plugin@latest every-hook -- --yes ${flags}`, join(first, '..'), env),
    'npm create',
  )
  const folder = join(first, '../milter-plugin-every-hook')
  symlinkSync(join(first, 'node_modules'), join(folder, 'node_modules'))
  await everyScript(folder, env)
  await ends(shell('npx milterhost check', folder, env), 'npx milterhost check')
}

/** All that package.json offers, whatever it is; what watches is asked to do it once. */
async function everyScript(folder, env) {
  const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  for (const script of Object.keys(scripts)) {
    const command = `npm run ${script}${script === 'dev' ? ' -- --once' : ''}`
    console.log(`$ ${command}`)
    await ends(shell(command, folder, env), command)
  }
}

/** A large message is tagged by the example, a small one is not. */
async function throughPostfix() {
  const postfix = await startPostfix({
    milters: ['inet:127.0.0.1:10025'],
    settings: { message_size_limit: '30000000' },
  })
  const client = await smtp(postfix.port)
  for (const [subject, lines] of [
    ['small', 1],
    ['large', 110_000],
  ]) {
    const data = `Subject: ${subject}\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(lines)}`
    const { last } = await client.mail({ from: 'a@example.com', to: 'b@example.net', data })
    if (last.code !== 250) throw new Error(`Postfix answered ${last.text}`)
  }
  await client.quit()
  const delivered = (await postfix.waitForDeliveries(2)).map(({ raw }) => raw.toString('latin1').slice(0, 4000))
  for (const text of delivered) {
    const tagged = /^X-Large-Message: yes/m.test(text)
    if (tagged !== /^Subject: large/m.test(text)) throw new Error(`delivered as:\n${text.slice(0, 1000)}`)
  }
}

function shell(command, cwd, env) {
  const timed = `TIMEFORMAT='CPU %U %S'; time ${command}`
  const child = spawn('bash', ['-c', timed], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  child.said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', text => {
      child.said += text
    })
  child.ended = new Promise(done => child.on('close', done))
  return child
}

/** The processor's seconds that it took. */
async function ends(child, command) {
  const late = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), 2 * LIMIT * 1000)
  const code = await child.ended
  clearTimeout(late)
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${child.said}`)
  const [, user, system] = /CPU ([\d.]+) ([\d.]+)\s*$/.exec(child.said)
  return Number(user) + Number(system)
}

async function says(child, pattern) {
  const late = performance.now() + 60_000
  while (!pattern.test(child.said)) {
    if (performance.now() > late || child.exitCode !== null)
      throw new Error(`the daemon did not say ${pattern}:\n${child.said}`)
    await new Promise(done => setTimeout(done, 50))
  }
}
