-- datasource: orders
select (((( from;
