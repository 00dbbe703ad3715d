update answers_memory set content='x' where 0;
