// What milter manager's documentation shows, page by page, as statements of the same form: `doc/configuration.rd`, the pages on installing,
// and the reverse dictionary, version 2.3.1. The words are ours; names and values of settings are facts.

import { join } from 'node:path'

export interface Example {
  /** The page's heading. */
  readonly of: string
  readonly source: string
  /** What the result holds. */
  readonly has: readonly string[]
  /** What is said of what it does not hold: pieces of the reasons, in order. */
  readonly notes: readonly string[]
}

const TRUSTED = join(import.meta.dirname, 'trusted-domains')

const child = (lines: string, name = 'test-milter'): string => `define_milter("${name}") do |milter|
  milter.connection_spec = "inet:10026@localhost"
  ${lines}
end
`

const quiet = (of: string, source: string, ...has: string[]): Example => ({ of, source, has, notes: [] })
const noted = (of: string, source: string, ...notes: string[]): Example => ({ of, source, has: [], notes })

export const EXAMPLES: readonly Example[] = [
  {
    of: 'Summary: the file as it is shipped',
    source:
      '# -*- ruby -*-\n\nload("applicable-conditions/*.conf")\nload_default\nload_if_exist("milter-manager.local.conf")\n',
    has: ["import { defineConfig, detected } from 'milterhost'", 'filters: [ ...detected(), ],'],
    notes: ['detected()'],
  },
  {
    of: 'Summary: what --show-config prints',
    source: `package.platform = "debian"
package.options = nil

security.privilege_mode = false
security.effective_user = nil
security.effective_group = nil

manager.connection_spec = nil
manager.unix_socket_mode = 0660
manager.unix_socket_group = nil
manager.remove_unix_socket_on_create = true
manager.remove_unix_socket_on_close = true
manager.daemon = false
manager.pid_file = nil
manager.maintenance_interval = 100
manager.suspend_time_on_unacceptable = 5
manager.max_connections = 0
manager.custom_configuration_directory = nil
manager.connection_check_interval = 0

controller.connection_spec = nil
controller.unix_socket_mode = 0660
controller.remove_unix_socket_on_create = true
controller.remove_unix_socket_on_close = true

define_applicable_condition("S25R") do |condition|
  condition.description = "Selective SMTP Rejection"
end

define_applicable_condition("Remote Network") do |condition|
  condition.description = "Check only remote network"
end
`,
    has: ['filters: []'],
    notes: ['detected()', 'limits.sessions', '0600'],
  },
  noted('package.platform', 'package.platform = "pkgsrc"', 'detected()'),
  noted('package.options', 'package.options = "prefix=/etc,name=value"', 'detected()'),
  noted('security.privilege_mode', 'security.privilege_mode = true', 'launch'),
  noted('security.effective_user', 'security.effective_user = "nobody"', 'User='),
  noted('security.effective_group', 'security.effective_group = "nobody"', 'Group='),
  quiet(
    'manager.connection_spec',
    'manager.connection_spec = "unix:/var/run/milter/milter-manager.sock"',
    "listen: 'unix:/var/run/milter/milter-manager.sock'",
  ),
  ...[
    'inet:10025',
    'inet:10025@localhost',
    'inet:10025@[127.0.0.1]',
    'inet6:10025',
    'inet6:10025@localhost',
    'inet6:10025@[::1]',
  ].map(spec => quiet(`manager.connection_spec ${spec}`, `manager.connection_spec = '${spec}'`, `listen: '${spec}'`)),
  quiet(
    'manager.unix_socket_mode',
    'manager.connection_spec = "unix:/run/m.sock"\nmanager.unix_socket_mode = 0600',
    "listen: { address: 'unix:/run/m.sock', mode: '600' }",
  ),
  quiet(
    'manager.unix_socket_group',
    'manager.connection_spec = "unix:/run/m.sock"\nmanager.unix_socket_group = "nobody"',
    "group: 'nobody'",
  ),
  noted('manager.remove_unix_socket_on_create', 'manager.remove_unix_socket_on_create = false', 'always cleared'),
  noted('manager.remove_unix_socket_on_close', 'manager.remove_unix_socket_on_close = false', 'always removed'),
  noted('manager.daemon', 'manager.daemon = true', 'foreground'),
  noted('manager.pid_file', 'manager.pid_file = "/var/run/milter/milter-manager.pid"', 'no file is needed'),
  quiet('manager.maintenance_interval', 'manager.maintenance_interval = nil'),
  noted('manager.suspend_time_on_unacceptable', 'manager.suspend_time_on_unacceptable = 10', 'limits.sessions'),
  quiet('manager.max_connections', 'manager.max_connections = 10 # accepts ten', 'limits: { sessions: 10 }'),
  noted('manager.max_file_descriptors', 'manager.max_file_descriptors = 65535', 'LimitNOFILE='),
  noted(
    'manager.custom_configuration_directory',
    'manager.custom_configuration_directory = "/tmp/milter-manager/"',
    'web interface',
  ),
  quiet('manager.use_netstat_connection_checker', 'manager.use_netstat_connection_checker'),
  quiet('manager.use_netstat_connection_checker(1)', 'manager.use_netstat_connection_checker(1) # each second'),
  quiet('manager.connection_check_interval', 'manager.connection_check_interval = 5 # seconds'),
  noted(
    'manager.define_connection_checker',
    'manager.define_connection_checker("mine") do |context|\n  context.smtp_client_address.local?\nend',
    'liveness: { name, open }',
  ),
  noted('manager.report_memory_statistics', 'manager.report_memory_statistics', 'milterhost status'),
  noted('manager.maintained', 'manager.maintained do\n  Milter::Logger.info("done!")\nend', 'it is code'),
  noted(
    'manager.event_loop_created',
    'manager.event_loop_created do |loop|\n  loop.add_timeout(1) { true }\nend',
    'it is code',
  ),
  noted('controller.connection_spec', 'controller.connection_spec = "inet:10026@localhost"', 'control.socket'),
  quiet(
    'controller.connection_spec, a UNIX socket',
    'controller.connection_spec = "unix:/run/milter-manager/control.sock"',
    "control: { socket: '/run/milter-manager/control.sock' }",
  ),
  noted('controller.unix_socket_mode', 'controller.unix_socket_mode = 0600', '0600'),
  quiet('controller.remove_unix_socket_on_create', 'controller.remove_unix_socket_on_create = false'),
  quiet('controller.remove_unix_socket_on_close', 'controller.remove_unix_socket_on_close = false'),
  quiet('define_milter', child(''), "socket('test-milter', 'inet:10026@localhost', { onFailure: 'accept' }),"),
  quiet('milter.description', child('milter.description = "test milter"'), '// test milter\n'),
  quiet('milter.enabled', child('milter.enabled = false'), 'enabled: false'),
  quiet('milter.fallback_status', child('milter.fallback_status = "temporary-failure"'), "onFailure: 'tempfail'"),
  quiet('milter.fallback_status reject', child('milter.fallback_status = :reject'), "onFailure: 'reject'"),
  noted('milter.fallback_status discard', child('milter.fallback_status = "discard"'), 'no failure throws mail away'),
  quiet('milter.evaluation_mode', child('milter.evaluation_mode = true'), "mode: 'observe'"),
  quiet('milter.applicable_conditions', child('milter.applicable_conditions = ["S25R"]'), 'when: s25r(),'),
  quiet(
    'milter.applicable_conditions, several',
    child('milter.applicable_conditions = ["S25R", "Remote Network"]'),
    'when: all(s25r(), remoteNetwork())',
    "import { all, remoteNetwork, s25r } from 'milterhost/conditions'",
  ),
  quiet('milter.add_applicable_condition', child('milter.add_applicable_condition("S25R")'), 'when: s25r(),'),
  quiet(
    'milter.command',
    child('milter.command = "/etc/init.d/milter-greylist"'),
    "launch: { service: 'milter-greylist' }",
  ),
  quiet(
    'milter.command_options',
    child('milter.command = "/usr/sbin/test-milter"\n  milter.command_options = "--option1 --option2"'),
    "launch: { command: ['/usr/sbin/test-milter', '--option1', '--option2'] }",
  ),
  quiet(
    'milter.command_options, an array',
    child('milter.command = "/usr/sbin/test-milter"\n  milter.command_options = ["--option1", "--option 2"]'),
    "'--option 2'] }",
  ),
  quiet(
    'milter.user_name',
    child('milter.command = "/usr/sbin/test-milter"\n  milter.user_name = "nobody"'),
    "launch: { command: ['/usr/sbin/test-milter'], user: 'nobody' }",
  ),
  quiet('milter.connection_timeout', child('milter.connection_timeout = 60'), 'timeouts: { connect: 60 }'),
  quiet('milter.writing_timeout', child('milter.writing_timeout = 15'), 'timeouts: { command: 15 }'),
  quiet('milter.reading_timeout', child('milter.reading_timeout = 15.5'), 'timeouts: { command: 15.5 }'),
  quiet('milter.end_of_message_timeout', child('milter.end_of_message_timeout = 300'), 'timeouts: { end: 300 }'),
  {
    of: 'defined_milters: disabling all',
    source: `${child('', 'milter1')}${child('', 'milter2')}
defined_milters.each do |name|
  define_milter(name) do |milter|
    milter.enabled = false
  end
end
`,
    has: [
      "socket('milter1', 'inet:10026@localhost', { enabled: false, onFailure: 'accept' })",
      "socket('milter2', 'inet:10026@localhost', { enabled: false, onFailure: 'accept' })",
    ],
    notes: [],
  },
  quiet(
    'defined_milters: removing all',
    `${child('', 'milter1')}defined_milters.each do |name|\n  remove_milter(name)\nend\n`,
    'filters: []',
  ),
  quiet(
    'defined_milters: a condition for all',
    `${child('', 'milter1')}defined_milters.each do |name|
  define_milter(name) do |milter|
    milter.add_applicable_condition("S25R")
  end
end
`,
    'when: s25r(),',
  ),
  noted('defined_milters, printed', 'defined_milters # => ["milter1", "milter2"]', 'no setting'),
  quiet('remove_milter', `${child('', 'milter1')}remove_milter("milter1")\n`, 'filters: []'),
  ...[
    ['S25R', 's25r()'],
    ['Remote Network', 'remoteNetwork()'],
    ['Authentication', 'authenticated()'],
    ['Authenticated', 'authenticated()'],
    ['Unauthentication', 'not(authenticated())'],
    ['Unauthenticated', 'not(authenticated())'],
    ['No Stress', 'not(stress())'],
    ['Stress Notify', "setMacro('stress', 'yes', stress())"],
    ['DNSBL Listed', 'dnsbl(['],
    ['Not DNSBL Listed', 'not(dnsbl(['],
  ].map(([name, code]) =>
    quiet(`condition ${name}`, child(`milter.add_applicable_condition("${name}")`), `when: ${code}`),
  ),
  quiet(
    'condition Sendmail Compatible',
    child('milter.add_applicable_condition("Sendmail Compatible")'),
    "{ onFailure: 'accept' }",
  ),
  {
    of: 'condition Trust',
    source: `trust.clear
trust.add_envelope_from_domain("example.com")
trust.add_envelope_from_domain(/\\.example\\.net\\z/)
trust.load_envelope_from_domains("${TRUSTED}")
${child('milter.add_applicable_condition("Trust")')}`,
    has: [
      `setMacro('trusted_domain', 'yes', trusted({ domains: ['example.com', /\\.example\\.net$/], file: '${TRUSTED}' }))`,
    ],
    notes: ['trusted(…) asks for SPF'],
  },
  quiet(
    'remote_network.add_local_address',
    `remote_network.add_local_address("160.29.167.10")
remote_network.add_local_address("160.29.167.0/24")
remote_network.add_local_address("2001:2f8:c2:201::fff0")
remote_network.add_local_address("2001:2f8:c2:201::/64")
${child('milter.add_applicable_condition("Remote Network")', 'spamass-milter')}`,
    "remoteNetwork({ local: ['160.29.167.10', '160.29.167.0/24', '2001:2f8:c2:201::fff0', '2001:2f8:c2:201::/64'] })",
  ),
  quiet(
    'remote_network.add_remote_address',
    `remote_network.add_remote_address("192.168.1.1")\n${child('milter.add_applicable_condition("Remote Network")')}`,
    "remoteNetwork({ remote: ['192.168.1.1'] })",
  ),
  quiet(
    's25r lists',
    `s25r.add_whitelist("example.com")
s25r.add_whitelist(/\\.example\\.net\\z/i)
s25r.add_blacklist('evil.example.org')
s25r.check_only_ipv4 = false
${child('milter.add_applicable_condition("S25R")')}`,
    "s25r({ whitelist: ['example.com', /\\.example\\.net$/i], blacklist: ['evil.example.org'], ipv6: true })",
  ),
  noted(
    's25r with a block',
    's25r.add_whitelist do |context, host|\n  host == "a.example"\nend',
    'function of the facts',
  ),
  quiet(
    'dnsbl.add_service',
    `dnsbl.add_service("bl.example.org", "127.0.0.2")\n${child('milter.add_applicable_condition("DNSBL Listed")')}`,
    "dnsbl([{ list: 'bl.example.org', codes: ['127.0.0.2'] }])",
  ),
  noted('dnsbl.name_server', 'dnsbl.name_server = "127.0.0.1"', 'dns.servers'),
  noted('stress.threshold_n_connections', 'stress.threshold_n_connections # => 75', 'no setting'),
  quiet(
    'stress.threshold_n_connections=',
    `stress.threshold_n_connections = 75\n${child('milter.add_applicable_condition("No Stress")')}`,
    'not(stress({ sessions: 75 }))',
  ),
  ...[
    [
      'define_connect_stopper',
      'context, host, socket_address',
      'if /\\A\\[.+\\]\\z/ =~ host\n      false\n    else\n      true\n    end',
    ],
    ['define_helo_stopper', 'context, helo', 'helo == "localhost.localdomain"'],
    [
      'define_envelope_from_stopper',
      'context, from',
      'if /@example.com>\\z/ =~ from\n      true\n    else\n      false\n    end',
    ],
    ['define_envelope_recipient_stopper', 'context, recipient', '/@ml.example.com>\\z/ =~ recipient ? true : false'],
    ['define_data_stopper', 'context', 'true'],
    ['define_header_stopper', 'context, name, value', '["X-Spam-Flag", "YES"] == [name, value]'],
    ['define_end_of_header_stopper', 'context', 'true'],
    ['define_body_stopper', 'context, chunk', 'if /^-----BEGIN PGP SIGNATURE-----$/ =~ chunk\n      true\n    end'],
    ['define_end_of_message_stopper', 'context', 'context.children["milter-greylist"].reject?'],
  ].map(
    ([stopper, parameters, body]): Example => ({
      of: `condition.${stopper}`,
      source: `define_applicable_condition("My Own") do |condition|
  condition.description = "one of mine"
  condition.${stopper} do |${parameters}|
    ${body}
  end
end
${child('milter.add_applicable_condition("My Own")')}`,
      has: ["const myOwnCondition = condition(() => true, { describe: 'My Own' })", 'when: myOwnCondition'],
      notes: ['until then it holds for all mail'],
    }),
  ),
  {
    of: 'a condition with case, as S25R is shown',
    source: `define_applicable_condition("S25R") do |condition|
  condition.description = "Selective SMTP Rejection"

  condition.define_connect_stopper do |context, host, socket_address|
    case host
    when "unknown",
      /\\A\\[.+\\]\\z/,
      /\\A[^.]*\\d[^\\d.]+\\d.*\\./
      false
    else
      true
    end
  end
end
`,
    has: ['filters: []'],
    notes: ['until then it holds for all mail'],
  },
  quiet(
    'reverse dictionary: accounts',
    `${child('', 'milter1')}restrict_accounts_by_list("boss@example.com", /@example\\.org\\z/, milters: ["milter1"])\n`,
    "users: ['boss@example.com', /@example\\.org$/]",
  ),
  quiet(
    'reverse dictionary: accounts, the old form of a hash',
    `${child('', 'milter1')}restrict_accounts_by_list("boss@example.com", :condition_name => "x", :milters => ["milter1"])\n`,
    "users: ['boss@example.com']",
  ),
  noted(
    'reverse dictionary: accounts by a block',
    'restrict_accounts_generic(milters: ["milter1"]) do |context, recipient|\n  User.find_by(address: recipient)\nend',
    'users: a function',
  ),
  noted(
    'reverse dictionary: database',
    'database.type = "mysql2"\ndatabase.name = "mail"\ndatabase.user = "root"\ndatabase.setup\ndatabase.load_models("models/*.rb")',
    'sql(…)',
    'sql(…)',
    'sql(…)',
    'sql(…)',
    'sql(…)',
  ),
  noted(
    'policy',
    'define_policy("x") do |policy|\n  policy.milters = ["a"]\n  policy.from = "b@example.com"\nend',
    'central policy',
  ),
  quiet(
    'installing: the socket for Postfix',
    'security.effective_group = nil\nmanager.connection_spec = "unix:/var/spool/postfix/milter-manager/milter-manager.sock"\nmanager.unix_socket_mode = 0660\nmanager.unix_socket_group = "postfix"',
    "listen: { address: 'unix:/var/spool/postfix/milter-manager/milter-manager.sock', mode: '660', group: 'postfix' }",
  ),
  {
    of: 'installing: milters of the packages are tuned by name',
    source: `load_default
define_milter("milter-greylist") do |milter|
  milter.fallback_status = "temporary-failure"
end
define_milter("clamav-milter") do |milter|
  milter.enabled = false
end
define_milter("amavisd-new-milter") do |milter|
  milter.add_applicable_condition("Remote Network")
end
define_milter("nothing-known") do |milter|
  milter.enabled = true
end
`,
    has: [
      `...detected({
        'milter-greylist': { when: all(setMacro('stress', 'yes', stress()), remoteNetwork(), s25r(), not(authenticated())), onFailure: 'tempfail' },
        'clamav-milter': { enabled: false, onFailure: 'accept' },
        'amavisd-milter': { when: remoteNetwork(), onFailure: 'accept' },
      }),`,
    ],
    notes: ['detected()', 'detected() finds no milter of that name'],
  },
  quiet('log', 'log.level = "info"\nlog.use_syslog = true', "log: { level: 'info' }"),
  quiet('log.level all', 'log.level = "all"', "log: { level: 'debug' }"),
  quiet('log.level default', 'log.level = "critical|error|warning|message|statistics"', "log: { level: 'info' }"),
  noted('log.path', 'log.path = "/var/log/milter-manager.log"', 'standard output'),
  noted('log.syslog_facility', 'log.syslog_facility = "local0"', 'SyslogFacility='),
  quiet(
    'manager.fallback_status_at_disconnect',
    'manager.fallback_status_at_disconnect = "temporary-failure"',
    "onClientLeft: 'tempfail'",
  ),
  noted('manager.fallback_status', 'manager.fallback_status = "reject"', 'its own onFailure'),
  noted('manager.n_workers', 'manager.n_workers = 10', 'one process'),
  quiet('manager.event_loop_backend', 'manager.event_loop_backend = "libev"\nmanager.packet_buffer_size = 4096'),
  quiet('manager.max_pending_finished_sessions', 'manager.max_pending_finished_sessions = 1'),
  quiet('manager.chunk_size', 'manager.chunk_size = 65535'),
]
