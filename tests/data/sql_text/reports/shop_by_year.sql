with y as (select * from orders) select count(*) from y join customers using (id);
