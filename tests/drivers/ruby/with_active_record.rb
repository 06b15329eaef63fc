# frozen_string_literal: true

require 'active_record'
require_relative 'with_pg'

ActiveRecord::Base.logger = nil
ActiveRecord::Base.establish_connection(
  adapter: 'postgresql', host: ENV['PGHOST'], port: ENV['PGPORT'], username: ENV['PGUSER'],
  password: ENV['PGPASSWORD'], database: ENV['PGDATABASE'], pool: CLIENTS * 2, min_messages: 'error'
)

# A connection checked out of ActiveRecord's pool, with its defaults: prepared statements, of which
# it keeps a thousand.
class ActiveRecordSession
  def initialize
    @pool = ActiveRecord::Base.connection_pool
    @connection = @pool.checkout
  end

  def query(text, values = nil)
    if text.match?(/\A\s*(SELECT|SHOW)/)
      Result.new(@connection.exec_query(text, 'SQL', bind(values), prepare: !values.nil?).to_a)
    else
      Result.new([], @connection.exec_update(text, 'SQL', bind(values)))
    end
  end

  def script(text) = @connection.execute(text)

  def settle(queries)
    queries.map do |text, values|
      query(text, values)
    rescue ActiveRecord::StatementInvalid => e
      e
    end
  end

  def transaction(isolation = nil, &) = @connection.transaction(isolation:, &)
  def savepoint(&) = @connection.transaction(requires_new: true, &)

  def cancelled(text, seconds)
    @connection.transaction do
      query("SET LOCAL statement_timeout = #{(seconds * 1000).to_i}")
      query(text)
    end
  end

  def heard(channel, seconds)
    payload = nil
    @connection.raw_connection.wait_for_notify(seconds) { |name, _, text| payload = text if name == channel }
    payload
  end

  def describe(error)
    cause = error.cause
    return error.message unless cause.is_a?(PG::Error)

    fields = [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_MESSAGE_PRIMARY].map { |field| cause.result&.error_field(field) }
    "#{error.class.name} #{fields.join(' ')}"
  end

  def bytes(value) = ActiveModel::Type::Binary.new.serialize(value)
  def unescape(value) = @connection.unescape_bytea(value)
  def texts = 1_100 # more than ActiveRecord keeps
  def repeats = 1 # it prepares each text at once

  # Models keep a connection to each thread.
  def items(table)
    @model ||= Class.new(ActiveRecord::Base) { self.table_name = table }
    ModelItems.new(@model)
  end

  def close
    return unless @connection

    @pool.checkin(@connection)
    @connection = nil
  end

  private

  def bind(values)
    (values || []).map { |value| ActiveRecord::Relation::QueryAttribute.new('p', value, ActiveModel::Type::Value.new) }
  end
end

# The rows of the case crud by a model.
class ModelItems
  def initialize(model)
    @model = model
  end

  def insert(id, name, price) = @model.create!(id:, name:, price:).persisted? ? 1 : 0
  def select(id) = @model.find_by(id:)&.then { |it| [it.id, it.name, it.price.to_s('F')] }
  def reprice(id, price) = @model.where(id:).update_all(price:)
  def delete(id) = @model.where(id:).delete_all
end

def active_record_rows
  absent = { 'copy' => 'ActiveRecord has no COPY', 'batch' => 'ActiveRecord runs one statement at a time' }
  [Row.new('ActiveRecord', ActiveRecord.version.to_s, absent:) { ActiveRecordSession.new }]
end
