mod changed;
mod city;
mod decisions;
mod differential;
mod files;
mod generated;
