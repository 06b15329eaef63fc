# frozen_string_literal: true

require 'date'
require 'digest'
require 'json'
require 'securerandom'
require_relative 'stage'

# The cases; each returns what it observed as text, if that may differ between a direct connection
# and one through pgsluice.
class Cases
  NAMES = %w[crud types statements batch copy transactions pipeline_errors large_rows cancel notify
             session_set schema_change].freeze

  class Failure < StandardError; end
  class Undo < StandardError; end

  UUID = '6f1c2a30-9c4b-4b0e-8d55-0123456789ab'
  ALL_BYTES = (0..255).to_a.pack('C*').freeze
  # Type, parameter, what the server makes of it.
  SAMPLES = [
    ['int2', -32_768, '-32768'], ['int4', 2_147_483_647, '2147483647'],
    ['int8', 9_223_372_036_854_775_807, '9223372036854775807'],
    ['numeric', '12345678901234567890.123456789', '12345678901234567890.123456789'],
    ['float8', 0.125, '0.125'], ['bool', true, 'true'], ['bool', false, 'false'],
    ['text', '', ''], ['text', %q(it's "quoted" \\ and $1), %q(it's "quoted" \\ and $1)],
    ['text', 'Grüße, 東京, 🐘', 'Grüße, 東京, 🐘'],
    ['date', '2024-02-29', '2024-02-29'],
    ['timestamp', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789'],
    ['timestamptz', '2024-02-29 12:34:56.789+00', '2024-02-29 12:34:56.789+00'],
    ['interval', '1 day 02:03:04', '1 day 02:03:04'], ['uuid', UUID, UUID],
    ['json', '{"a":[1,"zwei",null]}', '{"a":[1,"zwei",null]}'],
    ['jsonb', '{"a":[1,"zwei",null]}', '{"a": [1, "zwei", null]}'],
    ['int4[]', '{1,NULL,-3}', '{1,NULL,-3}'], ['text[]', '{"a \"b\"",NULL}', '{"a \"b\"",NULL}'],
    ['mood', 'happy', 'happy'], ['inet', '192.168.1.0/24', '192.168.1.0/24']
  ].freeze
  # What a driver that knows the type gives back; a driver that does not, gives the server's text.
  # (ActiveRecord sets intervalstyle.)
  SHOWN = { 'interval' => 'P1DT2H3M4S',
            'timestamp' => '2024-02-29T12:34:56.789Z', 'timestamptz' => '2024-02-29T12:34:56.789Z',
            'json' => '{"a":[1,"zwei",null]}', 'jsonb' => '{"a":[1,"zwei",null]}',
            'int4[]' => '[1,null,-3]', 'text[]' => '["a \"b\"",null]' }.freeze

  COPY_ROWS = QUICK ? 2_000 : 20_000
  LARGE = (QUICK ? 4 : 64) * 1024 * 1024
  TRANSACTIONS = QUICK ? 20 : 50
  BATCH = 200
  ZONES = %w[Asia/Tokyo Europe/Berlin America/Lima Africa/Cairo].freeze

  def initialize(stage)
    @stage = stage
  end

  def crud
    table = @stage.create('crud', 'id int PRIMARY KEY, name text, price numeric')
    @stage.sessions do |session, n|
      items = session.items(table)
      (0...20).map { |i| (n * 1000) + i }.each do |id|
        equal 1, items.insert(id, "item #{id}", "#{id}.5")
        equal [id, "item #{id}", "#{id}.5"], items.select(id)
        equal 1, items.reprice(id, "#{id}.75")
        equal [id, "item #{id}", "#{id}.75"], items.select(id)
      end
      (0...20).map { |i| (n * 1000) + i }.each do |id|
        equal 1, items.delete(id)
        equal 0, items.delete(id)
        equal nil, items.select(id)
      end
    end
  end

  def types
    @stage.sessions do |session, _|
      SAMPLES.each do |type, value, text|
        row = session.query("SELECT $1::#{type} AS value, ($1::#{type})::text AS text", [value]).rows[0]
        raise Failure, "#{type} arrived as #{row['text']}" unless [text, SHOWN[type]].include?(row['text'])

        shown = show(row['value'])
        raise Failure, "#{type} came back as #{shown}" unless [text, SHOWN[type]].include?(shown)
      end
      row = session.query("SELECT $1::bytea AS value, encode($1, 'hex') AS text", [session.bytes(ALL_BYTES)]).rows[0]
      equal ALL_BYTES.unpack1('H*'), row['text']
      equal ALL_BYTES.unpack1('H*'), session.unescape(row['value']).unpack1('H*')
      %w[int4 text bytea timestamptz jsonb int4[] mood].each do |type|
        equal({ 'value' => nil, 'none' => true },
              session.query("SELECT $1::#{type} AS value, $1::#{type} IS NULL AS none", [nil]).rows[0])
      end
    end
  end

  def statements
    @stage.sessions do |session, n|
      2.times do
        (QUICK ? 120 : session.texts).times do |i|
          type = %w[int4 text numeric int8 varchar][i % 5]
          session.repeats.times do
            row = session.query("SELECT ($1::int4 + #{i})::#{type} AS c#{i}", [n]).rows[0]
            equal (n + i).to_s, row["c#{i}"].to_i.to_s
          end
        end
      end
    end
  end

  def batch
    @stage.sessions do |session, n|
      queries = Array.new(BATCH) { |i| ['SELECT $1::int4 AS n, $2::text AS name', [(n * 1000) + i, "row #{i}"]] }
      results = session.settle(queries)
      equal(queries.map { |_, values| values }, results.map { |result| result.rows[0].values })
    end
  end

  def copy
    agree(@stage.sessions do |session, n|
      table = @stage.create("copy_#{n}", 'id int, name text')
      count = -> { Integer(session.query("SELECT count(*) AS n FROM #{table}").rows[0]['n']) }
      lines = Array.new(COPY_ROWS) { |i| "#{i}\tclient #{n}, row #{i}\n" }
      session.copy_in("COPY #{table} FROM STDIN", lines)
      equal COPY_ROWS, count.call
      equal lines, session.copy_out("COPY (SELECT * FROM #{table} ORDER BY id) TO STDOUT")
      half = lines[0, COPY_ROWS / 2]
      spoilt = failure(session) { session.copy_in("COPY #{table} FROM STDIN", [*half, "spoilt\n", *half]) }
      given = failure(session) do
        session.copy_in("COPY #{table} FROM STDIN", Enumerator.new { |to| half.each { |it| to << it } && raise(Undo, 'given up') })
      end
      equal COPY_ROWS, count.call
      session.copy_in("COPY #{table} FROM STDIN", lines)
      equal 2 * COPY_ROWS, count.call
      [spoilt, given].join('; ')
    end)
  end

  def transactions
    table = @stage.create('transactions', 'client int, step text')
    agree(@stage.sessions do |session, n|
      insert = ->(step) { session.query("INSERT INTO #{table} VALUES ($1, $2)", [n, step]) }
      steps = lambda do |through|
        through.query("SELECT step FROM #{table} WHERE client = $1 ORDER BY step", [n]).rows.map { |row| row['step'] }
      end
      elsewhere = -> { @stage.session { |another| steps.call(another) } }
      session.transaction { insert.call('a') }
      equal %w[a], elsewhere.call
      undone { session.transaction { insert.call('b') && raise(Undo) } }
      equal %w[a], elsewhere.call
      code = nil
      session.transaction do
        session.savepoint { insert.call('c') }
        code = failure(session) do
          session.savepoint { insert.call('d') && session.query('SELECT 1 / $1::int4', [0]) }
        end
        session.savepoint do
          insert.call('e')
          undone { session.savepoint { insert.call('f') && raise(Undo) } }
        end
        insert.call('g')
      end
      equal %w[a c e g], elsewhere.call
      session.transaction(:serializable) do
        equal 'serializable', session.query('SHOW transaction_isolation').rows[0].values[0]
      end
      equal 'read committed', session.query('SHOW transaction_isolation').rows[0].values[0]
      code
    end)
  end

  def pipeline_errors
    table = @stage.create('pipeline_errors', 'client int, step int')
    agree(@stage.sessions do |session, n|
      insert = ->(step) { ["INSERT INTO #{table} VALUES ($1, $2)", [n, step]] }
      outcomes = session.settle([insert.call(1), insert.call(2), ['SELECT 1 / $1::int4', [0]], insert.call(3)])
      seen = outcomes.map { |outcome| outcome.is_a?(Exception) ? session.describe(outcome) : 'ok' }
      seen << failure(session) do
        session.script("INSERT INTO #{table} VALUES (#{n}, 4); SELECT 1 / 0; INSERT INTO #{table} VALUES (#{n}, 5)")
      end
      rows = session.query("SELECT step FROM #{table} WHERE client = $1 ORDER BY step", [n]).rows
      "#{seen.join(', ')}; #{rows.map { |row| row['step'] }.join(', ')}"
    end)
  end

  def large_rows
    table = @stage.create('large_rows', 'id int, value bytea')
    @stage.sessions([2, CLIENTS].min) do |session, n|
      value = SecureRandom.bytes(LARGE)
      session.query("INSERT INTO #{table} VALUES ($1, $2)", [n, session.bytes(value)])
      row = session.query("SELECT value, md5(value) AS sum FROM #{table} WHERE id = $1", [n]).rows[0]
      equal Digest::MD5.hexdigest(value), row['sum']
      equal row['sum'], Digest::MD5.hexdigest(session.unescape(row['value']))
    end
    @stage.session { |session| session.query("DROP TABLE #{table}") }
  end

  def cancel
    agree(@stage.sessions do |session, n|
      start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      seen = 'cancelled'
      if n.even?
        seen = failure(session) { session.cancelled('SELECT pg_sleep(60)', 0.5) }
        raise Failure, 'it takes too long' if Process.clock_gettime(Process::CLOCK_MONOTONIC) - start > 10
      else
        session.query('SELECT pg_sleep(1)')
      end
      equal n, session.query('SELECT $1::int4 AS n', [n]).rows[0]['n'].to_i
      seen
    end.values_at(*(0...CLIENTS).step(2)))
  end

  def notify
    payloads = Array.new(50) { |i| "message #{i}" }
    channel = @stage.table('channel')
    ready = Queue.new
    heard = @stage.sessions([2, CLIENTS].max) do |session, n|
      if n.zero?
        session.query("LISTEN #{channel}")
        ready << true
        payloads.map { session.heard(channel, 20) }
      elsif n == 1
        ready.pop
        payloads.each { |payload| session.query('SELECT pg_notify($1, $2)', [channel, payload]) }
      else
        payloads.each_index { |i| session.transaction { session.query('SELECT $1::int4', [i]) } }
      end
    end
    equal payloads, heard[0]
  end

  def session_set
    names = %w[application_name TimeZone search_path my.name]
    @stage.sessions do |session, n|
      look = -> { names.map { |name| session.query("SELECT current_setting('#{name}', true) AS v").rows[0]['v'] } }
      before = look.call
      mine = ["client #{n}", ZONES[n % ZONES.size], "s#{n}, public", "name #{n}"]
      session.query("SET application_name = '#{mine[0]}'")
      session.query("SET TimeZone = '#{mine[1]}'")
      session.query("SET search_path = #{mine[2]}")
      session.query("SET my.name = '#{mine[3]}'")
      TRANSACTIONS.times do |i|
        session.transaction do
          equal mine, look.call
          next unless (i % 10).zero?

          session.query("SET LOCAL my.name = 'local'")
          equal 'local', look.call[3]
        end
        equal mine, look.call
      end
      names.each { |name| session.query("RESET #{name}") }
      equal [*before[0, 3], ''], look.call
    end
  end

  def schema_change
    agree(@stage.sessions do |session, n|
      [false, true].flat_map do |inside|
        table = @stage.create("schema_change_#{n}", 'id int, value int')
        other = ->(text) { @stage.session { |another| another.query(text) } }
        other.call("INSERT INTO #{table} VALUES (1, 7)")
        select = -> { session.query("SELECT * FROM #{table} WHERE id = $1", [1]).rows[0].to_s }
        [nil, "ADD COLUMN extra text DEFAULT 'new'", 'ALTER COLUMN value TYPE text'].flat_map do |change|
          other.call("ALTER TABLE #{table} #{change}") if change
          Array.new(6) do
            inside ? session.transaction(&select) : select.call
          rescue StandardError => e
            session.describe(e)
          end
        end
      end.join(' ')
    end)
  end

  private

  def equal(expected, actual)
    raise Failure, "expected #{expected.to_s[0, 200]}, not #{actual.to_s[0, 200]}" unless expected == actual

    true
  end

  # What every client saw, which must be the same.
  def agree(seen)
    raise Failure, "clients saw different things: #{seen.uniq.join("\n")}" unless seen.uniq.size == 1

    seen[0]
  end

  def failure(session)
    yield
    raise Failure, 'no error'
  rescue Failure
    raise
  rescue StandardError => e
    session.describe(e)
  end

  def undone
    yield
    raise Failure, 'no error'
  rescue Undo
    true
  end

  def show(value)
    case value
    when Time then value.utc.strftime('%Y-%m-%dT%H:%M:%S.%LZ')
    when Hash, Array then JSON.generate(value)
    when BigDecimal then value.to_s('F')
    when IPAddr then "#{value}/#{value.prefix}"
    else value.to_s
    end
  end
end
