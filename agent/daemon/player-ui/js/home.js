/* The first page. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  BBT.view('home', function () {
    var el = h('div', { 'class': 'view view-home' });
    function update() {
      var home = BBT.data.home;
      BBT.empty(el).appendChild(BBT.message({ icon: 'book', title: home ? BBT.data.deviceName() : t('shelf.loading') }));
    }
    update();
    return { el: el, update: update, dock: [] };
  });
}());
