-- What the scripts share. `socket` is set on the command line: miltertest -D socket=inet:PORT@HOST -s SCRIPT.
-- A failed check ends the script with an error, which is miltertest's exit code 1. It does not print the error, so that is done here.

function check(condition, what)
  if not condition then
    mt.echo("failed: " .. what)
    error(what)
  end
end

function done(result, what)
  check(result == nil, what .. " failed: " .. tostring(result))
end

function open(version)
  local conn = mt.connect(socket, 20, 0.1)
  check(conn ~= nil, "cannot connect to " .. socket)
  done(mt.negotiate(conn, version, nil, nil), "negotiation")
  return conn
end

function replies(conn, expected, what)
  check(mt.getreply(conn) == expected, what .. ": reply " .. string.char(mt.getreply(conn)))
end

function greet(conn)
  done(mt.conninfo(conn, "client.example", "192.0.2.7"), "conninfo")
  done(mt.helo(conn, "client.example"), "helo")
end

-- A header value as it comes with what was agreed on leading spaces.
function value(conn, text)
  if mt.test_option(conn, 0x100000) then
    return " " .. text
  end
  return text
end

-- From MAIL to the end of the message. Content goes out as far as it was asked for.
function message(conn, subject)
  done(mt.macro(conn, SMFIC_MAIL, "i", "TEST1"), "macro")
  done(mt.mailfrom(conn, "<alice@example.com>"), "mailfrom")
  replies(conn, SMFIR_CONTINUE, "MAIL")
  done(mt.rcptto(conn, "<bob@example.net>"), "rcptto")
  replies(conn, SMFIR_CONTINUE, "RCPT")
  content(conn, subject)
end

function content(conn, subject)
  if not mt.test_option(conn, SMFIP_NODATA) then
    done(mt.data(conn), "data")
  end
  done(mt.header(conn, "From", "Alice <alice@example.com>"), "header")
  done(mt.header(conn, "Subject", subject), "header")
  done(mt.header(conn, "X-Old", "one"), "header")
  done(mt.header(conn, "X-Old", "two"), "header")
  done(mt.eoh(conn), "eoh")
  done(mt.bodystring(conn, "Hello\r\n"), "bodystring")
  done(mt.eom(conn), "eom")
end
