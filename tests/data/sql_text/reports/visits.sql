select * from visits where ds = '${bizdate}' and path = visits_${bizdate};
