select c.id from customers c join orders using (id);
