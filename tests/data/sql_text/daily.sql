-- What was sold, by day.
-- datasource: orders
-- type: mysql
-- owner: ana

insert into daily select day, sum(total) from orders group by day;
-- datasource: not_here
