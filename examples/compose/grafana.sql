-- Grafana's role: it reads the table of calls and nothing else. PostgreSQL's image runs this file
-- once, when it creates the database.
\getenv password GRAFANA_PASSWORD
create role grafana login password :'password';
create schema litespan;
grant usage on schema litespan to grafana;
alter default privileges in schema litespan grant select on tables to grafana;
