/**
 * Detection: which milters are installed below a root, where they listen, how they are started and how they are best used.
 *
 * Reads files and nothing else; the same root gives the same answer. What holds: one result for one socket, whoever names it; a
 * milter of which something cannot be read is a warning, and never keeps the others from being found. Used by `detected()`,
 * the command `detect` and the watcher.
 */
import { posix } from 'node:path'
import type { OnFailure } from '../../host/observe/event.ts'
import { milterAddress, placeOf, underRoot } from './address.ts'
import type { DetectWarning, Fact, Setting, Settings } from './fact.ts'
import { type MtaMilter, mtaMilters } from './mta.ts'
import { type Given, type Product, RANK, type Timeouts } from './product.ts'
import { PRODUCTS } from './products/index.ts'
import { startsServices } from './services/init.ts'
import { rcServices } from './services/rc.ts'
import type { Launch, Service } from './services/service.ts'
import { isShell, Systemd } from './services/systemd.ts'
import { sysvService } from './services/sysv.ts'
import { readOptions } from './text/options.ts'
import { Tree } from './tree.ts'

export interface FoundMilter {
  readonly name: string
  /** Of the product, or which MTA names it. */
  readonly title: string
  readonly address: Fact<string>
  /** Whether the machine starts it, or an MTA uses it. */
  readonly enabled: Fact<boolean>
  /** Why it does no milter's work although it is enabled. */
  readonly idle: Fact<string> | null
  readonly user: Fact<string> | null
  readonly group: Fact<string> | null
  readonly pidFile: Fact<string> | null
  readonly launch: Fact<Launch> | null
  /** Seconds; what is missing is left to the entry's defaults. */
  readonly timeouts: Timeouts
  readonly rank: number
  readonly condition: 'remote' | null
  readonly onFailure: OnFailure
  /** Known to take the content without a wait for each answer. */
  readonly pipelining: boolean
}

export interface Detection {
  /** In the recommended order. */
  readonly milters: readonly FoundMilter[]
  readonly warnings: readonly DetectWarning[]
  /** Folders in which a change may change the result. */
  readonly folders: readonly string[]
}

export const PRODUCT_NAMES: readonly string[] = PRODUCTS.map(({ name }) => name)

/** Whether the machine runs it as a milter. */
export const inUse = ({ enabled, idle }: FoundMilter): boolean => enabled.value && idle === null

/** Never throws. */
export function detect(root = '/'): Detection {
  const tree = new Tree(root)
  const systemd = new Systemd(tree)
  const found = PRODUCTS.flatMap(product =>
    servicesOf(product, tree, systemd).flatMap(service => milter(product, service, tree) ?? []),
  )
  const milters = merged(startsServices(tree) ? found : found.map(milter => unstarted(milter, tree)), mtaMilters(tree))
  milters.sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
  return { milters, warnings: tree.warnings, folders: tree.folders }
}

/** Where nothing starts services, only what is there already is at work. */
function unstarted(milter: FoundMilter, tree: Tree): FoundMilter {
  const [, path] = /^(?:unix|local):(\/.+)$/.exec(milter.address.value) ?? []
  if (!milter.enabled.value || milter.idle !== null || path === undefined) return milter
  if (tree.list(posix.dirname(path)).includes(posix.basename(path))) return milter
  const value = 'nothing on this machine starts services, and its socket is not there'
  return { ...milter, idle: { value, source: milter.enabled.source } }
}

/** A unit takes the place of an init script of its name, but on a machine without systemd. */
function servicesOf(product: Product, tree: Tree, systemd: Systemd): Service[] {
  const init = product.services.flatMap(name => sysvService(tree, name) ?? [])
  const units = oneOf(product.services.map(name => systemd.services(name)))
  const rc = product.rcScripts.flatMap(name => rcServices(tree, name))
  const first = product.services.find(name => [...units, ...init].some(service => service.name === name))
  const fitting = units.length > 0 ? units : init.filter(({ name }) => name === first)
  const script = init.find(({ name }) => name === first)
  return [...fitting, ...rc].map(service =>
    service.kind === 'systemd' && script !== undefined && !systemd.installed
      ? { ...service, enabled: script.enabled, launch: script.launch }
      : service,
  )
}

/** Of units that start the same milter in another way: those of the first name that is enabled, else of the first that is there. */
function oneOf(units: readonly Service[][]): Service[] {
  return units.find(found => found.some(({ enabled }) => enabled.value)) ?? units.find(found => found.length > 0) ?? []
}

function milter(product: Product, service: Service, tree: Tree): FoundMilter | null {
  const line = readOptions(isShell(service) ? [] : service.argv.slice(1), product.options?.letters ?? '')
  const settings = configuration(product, service, line, tree)
  const own = ownSocket(product, tree)
  const given: Given = { tree, service, options: line, settings }
  const fact = (aspect: 'socket' | 'user' | 'group' | 'pidFile' | 'root'): Setting | null => {
    const letter = product.options?.of[aspect]
    const key = product.config?.keys[aspect]
    const variables = (product.variables?.[aspect] ?? [])
      .flatMap(name => service.variables.get(name) ?? [])
      // A branch of the script may set what its left margin says first; the product knows what comes of it.
      .filter(
        ({ source }) =>
          aspect !== 'socket' || own === undefined || service.kind !== 'sysv' || source.file !== service.file,
      )
    const option = letter === undefined ? undefined : line.options.get(letter)
    const setting = key === undefined ? undefined : settings.get(key)
    // Of several profiles of one script the variables are what differs.
    const order = service.kind === 'freebsd' ? [variables[0], option, setting] : [option, setting, variables[0]]
    return order.find(candidate => candidate !== undefined && candidate.value !== '') ?? null
  }
  const root = fact('root') ?? service.root
  const written = fact('socket')
  const listens: Fact<string> | undefined = service.listens[0]
  const socket: Fact<string> | undefined =
    written !== null && !written.value.startsWith('fd:') ? written : (listens ?? own)
  if (socket === undefined) {
    tree.warn(service.file, 0, `${product.name} is installed, but nothing says where it listens`)
    return null
  }
  const address = socketAddress(socket, root?.value ?? '')
  if (address === null) {
    const { file, line: at } = socket.source ?? { file: service.file, line: 0 }
    tree.warn(file, at, `${product.name}: the socket ${JSON.stringify(socket.value)} cannot be read`)
    return null
  }
  // Who is not root from the start cannot become another.
  const unprivileged = service.kind === 'systemd' && service.user !== null && service.user.value !== 'root'
  const [user, group] = userAndGroup(unprivileged ? service.user : (fact('user') ?? service.user))
  const pidFile = fact('pidFile') ?? service.pidFile
  return {
    name: service.name.replace(/^[^@]*/, product.name),
    title: product.title,
    address: { value: address, source: socket.source },
    enabled: service.enabled,
    idle: product.idle?.(given) ?? null,
    user: user ?? (product.defaultUser === undefined ? null : { value: product.defaultUser, source: null }),
    group: service.group ?? fact('group') ?? group,
    pidFile: pidFile && { value: underRoot(pidFile.value, ''), source: pidFile.source },
    launch: { value: service.launch, source: { file: service.file, line: 0 } },
    timeouts: product.timeouts?.(given) ?? {},
    pipelining: product.ownProtocol !== true,
    ...product.use(given),
  }
}

function configuration(
  { config, options, variables }: Product,
  service: Service,
  line: ReturnType<typeof readOptions>,
  tree: Tree,
): Settings {
  if (config === undefined) return new Map()
  const letter = options?.of.config
  const named = [
    letter === undefined ? undefined : line.options.get(letter)?.value,
    line.options.get('config-file')?.value,
    line.options.get('config')?.value,
    config.operand ? line.operands[0]?.value : undefined,
    ...(variables?.config ?? []).map(name => service.variables.get(name)?.value),
  ]
  for (const path of [...named, ...config.files]) {
    const text = path?.startsWith('/') ? tree.read(underRoot(path, service.root?.value ?? '')) : null
    if (text !== null) return config.read(text, tree)
  }
  return new Map()
}

function ownSocket(product: Product, tree: Tree): Fact<string> | undefined {
  const value = product.defaultSocket?.(tree)
  return value === undefined || value === null ? undefined : { value, source: null }
}

/** `ListenStream=` of a socket unit has spellings of its own: a port, `127.0.0.1:8891`. */
function socketAddress({ value, source }: Fact<string>, root: string): string | null {
  const bare = source?.file.endsWith('.socket') || source?.file.includes('.socket.d/')
  const [, host, port] = (bare && /^(?:(\[[^\]]*\]|[\d.]+):)?(\d+)$/.exec(value)) || []
  // systemd opens its sockets before the service has another root.
  if (port !== undefined) return milterAddress(`inet:${port}@${host ?? '127.0.0.1'}`)
  return milterAddress(value, bare ? '' : root)
}

/** `UserID` may be `user:group`. */
function userAndGroup(user: Fact<string> | null): [Fact<string> | null, Fact<string> | null] {
  const [name, group] = user?.value.split(/[:.](?=[\w-]+$)/) ?? []
  if (user === null || name === undefined || name === '') return [null, null]
  return [{ value: name, source: user.source }, group === undefined ? null : { value: group, source: user.source }]
}

/** Names and sockets once each. What a product says of itself counts more than what an MTA says of it. */
function merged(products: readonly FoundMilter[], named: readonly MtaMilter[]): FoundMilter[] {
  const found: FoundMilter[] = []
  const places = new Map<string, number>()
  for (const milter of products) {
    const place = placeOf(milter.address.value)
    const at = place === null ? undefined : places.get(place)
    if (at === undefined) {
      if (place !== null) places.set(place, found.length)
      found.push(unique(milter, found))
    } else if (!found[at]!.enabled.value && milter.enabled.value) found[at] = milter
  }
  for (const { name, mta, address, timeouts, onFailure } of named) {
    const place = placeOf(address.value)
    if (place === null || places.has(place)) continue
    places.set(place, found.length)
    const entry: FoundMilter = {
      name,
      title: `named by ${mta}`,
      address,
      enabled: { value: true, source: address.source },
      idle: null,
      user: null,
      group: null,
      pidFile: null,
      launch: null,
      timeouts,
      rank: RANK.unknown,
      condition: null,
      onFailure: onFailure ?? 'tempfail',
      pipelining: false,
    }
    found.push(unique(entry, found))
  }
  return found
}

function unique(milter: FoundMilter, taken: readonly FoundMilter[]): FoundMilter {
  let name = milter.name
  for (let count = 2; taken.some(other => other.name === name); count++) name = `${milter.name}-${count}`
  return name === milter.name ? milter : { ...milter, name }
}
